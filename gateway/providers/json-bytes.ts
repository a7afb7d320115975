/**
 * Finds the top-level members of a JSON object in its bytes, so that one value can be replaced or read without building
 * and printing the whole tree. Strings are skipped natively; the object must already be known, or is checked, to be JSON.
 * The bytes are read as Latin-1: one character for each, so that places in the text are places in the bytes. V8 searches
 * its own strings far faster than it calls out to search a buffer.
 */
import { parseJson } from './json.ts';

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

/** The value that stands there; undefined when there is none. */
export const valueAt = (bytes: Buffer, span: ByteSpan | undefined): unknown =>
  span === undefined ? undefined : parseJson(bytes.toString('utf8', span.start, span.end));

/** @returns undefined when the bytes are not one balanced object. Keys with escapes are counted but not found. */
export function scanTopLevel(bytes: Buffer, wanted: readonly string[]): TopLevel | undefined {
  const text = bytes.toString('latin1');
  const spans = new Map<string, ByteSpan>();
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== braceOpen) return undefined;
  const bodyStart = ++at;
  let count = 0;
  at = skipSpace(text, at);
  if (text.charCodeAt(at) === braceClose) return onlySpaceAfter(text, at + 1) ? { count, spans, bodyStart } : undefined;
  for (;;) {
    at = skipSpace(text, at);
    if (text.charCodeAt(at) !== quote) return undefined;
    const keyEnd = stringEnd(text, at);
    if (keyEnd === -1) return undefined;
    const keyAt = at;
    const key = wanted.find((name) => isKey(text, keyAt, keyEnd, name));
    at = skipSpace(text, keyEnd);
    if (text.charCodeAt(at) !== colon) return undefined;
    const start = skipSpace(text, at + 1);
    const end = valueEnd(text, start);
    if (end <= start) return undefined;
    count++;
    if (key !== undefined) spans.set(key, { start, end });
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === braceClose)
      return onlySpaceAfter(text, at + 1) ? { count, spans, bodyStart } : undefined;
    if (text.charCodeAt(at) !== comma) return undefined;
    at++;
  }
}

/**
 * Where the value of one member of the object at `from` stands; undefined when there is none, or no object. It stops there:
 * what follows is not looked at. In bytes that are not JSON it finds anything or nothing.
 */
export function findMember(bytes: Buffer, from: number, name: string): ByteSpan | undefined {
  const text = bytes.toString('latin1', from);
  let at = skipSpace(text, 0);
  if (text.charCodeAt(at) !== braceOpen) return undefined;
  at++;
  for (;;) {
    at = skipSpace(text, at);
    if (text.charCodeAt(at) !== quote) return undefined;
    const keyEnd = stringEnd(text, at);
    if (keyEnd === -1) return undefined;
    const isWanted = isKey(text, at, keyEnd, name);
    at = skipSpace(text, keyEnd);
    if (text.charCodeAt(at) !== colon) return undefined;
    const start = skipSpace(text, at + 1);
    const end = valueEnd(text, start);
    if (end <= start) return undefined;
    if (isWanted) return { start: from + start, end: from + end };
    at = skipSpace(text, end);
    if (text.charCodeAt(at) !== comma) return undefined;
    at++;
  }
}

/** The bytes with others in the place of a span. */
export function replaceSpan(bytes: Buffer, { start, end }: ByteSpan, by: Buffer): Buffer {
  const all = Buffer.allocUnsafe(start + by.length + bytes.length - end);
  if (start > 0) bytes.copy(all, 0, 0, start);
  all.set(by, start);
  bytes.copy(all, start + by.length, end);
  return all;
}

/** Whether the string between these places, its quotes included, is this name. */
const isKey = (text: string, start: number, end: number, name: string): boolean =>
  end - start - 2 === name.length && text.startsWith(name, start + 1);

/** Position behind a string that starts at `at`, or -1. */
function stringEnd(text: string, at: number): number {
  let end = text.indexOf('"', at + 1);
  while (end !== -1) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++;
    if (slashes % 2 === 0) return end + 1;
    end = text.indexOf('"', end + 1);
  }
  return -1;
}

/** Position behind the value that starts at `start`, or -1. */
function valueEnd(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === quote) return stringEnd(text, start);
  if (first !== braceOpen && first !== bracketOpen) {
    let end = start;
    while (end < text.length && !isScalarEnd(text.charCodeAt(end))) end++;
    return end;
  }
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const byte = text.charCodeAt(at);
    if (byte === quote) {
      at = stringEnd(text, at);
      if (at === -1) return -1;
      continue;
    }
    if (byte === braceOpen || byte === bracketOpen) depth++;
    else if ((byte === braceClose || byte === bracketClose) && --depth === 0) return at + 1;
    at++;
  }
  return -1;
}

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
const isScalarEnd = (byte: number): boolean => byte === comma || byte === braceClose || isSpace(byte);

function skipSpace(text: string, at: number): number {
  let position = at;
  while (isSpace(text.charCodeAt(position))) position++;
  return position;
}

const onlySpaceAfter = (text: string, at: number): boolean => skipSpace(text, at) === text.length;
