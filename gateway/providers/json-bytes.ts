/**
 * Finds the top-level members of a JSON object in its bytes, so that one value can be replaced or read without building
 * and printing the whole tree. Strings are skipped natively; the object must already be known, or is checked, to be JSON.
 */

export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

export interface TopLevel {
  /** Members in the text; more than the parsed object has means that a key appears twice. */
  readonly count: number;
  /** Where the values of the asked members stand. */
  readonly spans: ReadonlyMap<string, ByteSpan>;
  /** Position behind the opening brace. */
  readonly bodyStart: number;
}

const quote = 0x22;
const backslash = 0x5c;
const braceOpen = 0x7b;
const braceClose = 0x7d;
const bracketOpen = 0x5b;
const bracketClose = 0x5d;
const comma = 0x2c;
const colon = 0x3a;

/** @returns undefined when the bytes are not one balanced object. Keys with escapes are counted but not found. */
export function scanTopLevel(bytes: Buffer, wanted: readonly string[]): TopLevel | undefined {
  const spans = new Map<string, ByteSpan>();
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== braceOpen) return undefined;
  const bodyStart = ++at;
  let count = 0;
  at = skipSpace(bytes, at);
  if (bytes[at] === braceClose) return onlySpaceAfter(bytes, at + 1) ? { count, spans, bodyStart } : undefined;
  for (;;) {
    at = skipSpace(bytes, at);
    if (bytes[at] !== quote) return undefined;
    const keyEnd = stringEnd(bytes, at);
    if (keyEnd === -1) return undefined;
    const key = wanted.find(
      (name) => keyEnd - at - 2 === name.length && bytes.toString('latin1', at + 1, keyEnd - 1) === name,
    );
    at = skipSpace(bytes, keyEnd);
    if (bytes[at] !== colon) return undefined;
    const start = skipSpace(bytes, at + 1);
    const end = valueEnd(bytes, start);
    if (end <= start) return undefined;
    count++;
    if (key !== undefined) spans.set(key, { start, end });
    at = skipSpace(bytes, end);
    if (bytes[at] === braceClose) return onlySpaceAfter(bytes, at + 1) ? { count, spans, bodyStart } : undefined;
    if (bytes[at] !== comma) return undefined;
    at++;
  }
}

/**
 * Where the value of one member of the object at `from` stands; undefined when there is none, or no object. It stops there:
 * what follows is not looked at. In bytes that are not JSON it finds anything or nothing.
 */
export function findMember(bytes: Buffer, from: number, name: string): ByteSpan | undefined {
  let at = skipSpace(bytes, from);
  if (bytes[at] !== braceOpen) return undefined;
  at++;
  for (;;) {
    at = skipSpace(bytes, at);
    if (bytes[at] !== quote) return undefined;
    const keyEnd = stringEnd(bytes, at);
    if (keyEnd === -1) return undefined;
    const isWanted = keyEnd - at - 2 === name.length && bytes.toString('latin1', at + 1, keyEnd - 1) === name;
    at = skipSpace(bytes, keyEnd);
    if (bytes[at] !== colon) return undefined;
    const start = skipSpace(bytes, at + 1);
    const end = valueEnd(bytes, start);
    if (end <= start) return undefined;
    if (isWanted) return { start, end };
    at = skipSpace(bytes, end);
    if (bytes[at] !== comma) return undefined;
    at++;
  }
}

/** Position behind a string that starts at `at`, or -1. */
function stringEnd(bytes: Buffer, at: number): number {
  let end = bytes.indexOf(quote, at + 1);
  while (end !== -1) {
    let slashes = 0;
    while (bytes[end - 1 - slashes] === backslash) slashes++;
    if (slashes % 2 === 0) return end + 1;
    end = bytes.indexOf(quote, end + 1);
  }
  return -1;
}

/** Position behind the value that starts at `start`, or -1. */
function valueEnd(bytes: Buffer, start: number): number {
  const first = bytes[start];
  if (first === quote) return stringEnd(bytes, start);
  if (first !== braceOpen && first !== bracketOpen) {
    let end = start;
    while (end < bytes.length && !isScalarEnd(bytes[end])) end++;
    return end;
  }
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === quote) {
      at = stringEnd(bytes, at);
      if (at === -1) return -1;
      continue;
    }
    if (byte === braceOpen || byte === bracketOpen) depth++;
    else if ((byte === braceClose || byte === bracketClose) && --depth === 0) return at + 1;
    at++;
  }
  return -1;
}

const isSpace = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isScalarEnd = (byte: number | undefined): boolean => byte === comma || byte === braceClose || isSpace(byte);

function skipSpace(bytes: Buffer, at: number): number {
  let position = at;
  while (isSpace(bytes[position])) position++;
  return position;
}

const onlySpaceAfter = (bytes: Buffer, at: number): boolean => skipSpace(bytes, at) === bytes.length;
