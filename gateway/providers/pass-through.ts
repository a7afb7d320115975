/** Streams that already speak the client's format: cut into whole events and relayed without touching the ones it need not read. */
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { EventRules, StreamDecoder, StreamPart } from './adapter.ts';

const blankLine = Buffer.from('\n\n');
const blankLineCrLf = Buffer.from('\r\n\r\n');
const done = Buffer.from('data: [DONE]\n\n');
const dataLine = Buffer.from('\ndata:');
/** A line that begins with a colon. */
const commentMark = 0x3a;
/** An event larger than this is not an event. */
const largestEventBytes = 16 * 1024 * 1024;

export class PassThroughDecoder implements StreamDecoder {
  readonly #rules: EventRules;
  readonly #request: ModelRequest;
  readonly #deployment: Deployment;
  #partial: Buffer | undefined;
  /** Whether an event that carries an answer has been relayed. */
  #began = false;
  #over = false;
  /** What was relayed last and before that: where a reason for finishing would stand. */
  #lastBlock: Buffer | undefined;
  #previousBlock: Buffer | undefined;

  constructor(rules: EventRules, request: ModelRequest, deployment: Deployment) {
    this.#rules = rules;
    this.#request = request;
    this.#deployment = deployment;
  }

  push(bytes: Buffer): readonly StreamPart[] {
    const parts: StreamPart[] = [];
    if (this.#over) return parts;
    const all = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    const end = lastEventEnd(all);
    this.#partial = end === all.length ? undefined : all.subarray(end);
    if ((this.#partial?.length ?? 0) > largestEventBytes) this.#break('one event is larger than 16 MiB', parts);
    else if (end > 0) this.#onBlock(end === all.length ? all : all.subarray(0, end), parts);
    return parts;
  }

  end(): readonly StreamPart[] {
    const parts: StreamPart[] = [];
    if (this.#over) return parts;
    // Some servers forget the blank line behind their last event.
    if (this.#partial !== undefined && isWhole(this.#partial)) {
      this.#onBlock(Buffer.concat([this.#partial, blankLine]), parts);
    }
    this.#partial = undefined;
    if (this.#over) return parts;
    // Others forget `[DONE]`; a stated reason for finishing is as good. Token counts may follow it.
    if ([this.#previousBlock, this.#lastBlock].some((block) => block !== undefined && saysFinished(block))) {
      this.#relay(done, parts);
      this.#finish(parts);
    } else {
      this.#break('the stream ended before its answer did', parts);
    }
    return parts;
  }

  /** One or more whole events. */
  #onBlock(block: Buffer, parts: StreamPart[]): void {
    if (!this.#rules.isRemarkable(block)) {
      this.#relay(block, parts);
      return;
    }
    for (const event of splitEvents(block)) {
      if (this.#over) return;
      if (this.#rules.isRemarkable(event)) this.#onRemarkable(event, parts);
      else this.#relay(event, parts);
    }
  }

  #onRemarkable(event: Buffer, parts: StreamPart[]): void {
    const meaning = this.#rules.readEvent(event, this.#request, this.#deployment);
    switch (meaning.is) {
      case 'content':
        this.#relay(event, parts);
        break;
      case 'usage':
        // Counts include what stands beside them.
        if (meaning.forClient) this.#relay(event, parts);
        parts.push({ is: 'usage', usage: meaning.usage });
        break;
      case 'end':
        // An end before any answer is none; whoever waits for the first chunk says so.
        if (this.#began) this.#relay(event, parts);
        this.#finish(parts);
        break;
      case 'error':
        this.#over = true;
        parts.push({ is: 'error', error: meaning.error });
        break;
    }
  }

  #relay(arrived: Buffer, parts: StreamPart[]): void {
    // A comment only says that the upstream is alive; it does not commit to an answer.
    const block = this.#began ? arrived : withoutLeadingComments(arrived);
    if (block.length === 0) return;
    this.#began = true;
    if (block[0] !== commentMark || block.includes(dataLine)) {
      this.#previousBlock = this.#lastBlock;
      this.#lastBlock = block;
    }
    parts.push({ is: 'chunk', bytes: block });
  }

  #finish(parts: StreamPart[]): void {
    this.#over = true;
    parts.push({ is: 'end' });
  }

  #break(message: string, parts: StreamPart[]): void {
    this.#over = true;
    const { provider } = this.#deployment;
    parts.push({
      is: 'error',
      error: new UpstreamError({ kind: 'unavailable', status: 502, provider, message, mayBeBilled: true }),
    });
  }
}

/** Position behind the last blank line; 0 when no event is complete. */
export function lastEventEnd(bytes: Buffer): number {
  const lf = bytes.lastIndexOf(blankLine);
  const crLf = bytes.lastIndexOf(blankLineCrLf);
  return Math.max(lf === -1 ? 0 : lf + 2, crLf === -1 ? 0 : crLf + 4);
}

/** Whether the text behind the last blank line is an event that only lacks its own; a cut one must not be relayed. */
function isWhole(rest: Buffer): boolean {
  const data = rest
    .toString()
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trim())
    .join('\n');
  if (data === '[DONE]') return true;
  try {
    JSON.parse(data);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

const saysFinished = (block: Buffer): boolean => /"finish_reason"\s*:\s*"/.test(block.toString());

export function withoutLeadingComments(block: Buffer): Buffer {
  let start = 0;
  while (block[start] === commentMark) start = firstEventEnd(block, start);
  return block.subarray(start);
}

/** Position behind the first event that starts at `start`. */
function firstEventEnd(block: Buffer, start: number): number {
  const lf = block.indexOf(blankLine, start);
  const crLf = block.indexOf(blankLineCrLf, start);
  return Math.min(lf === -1 ? block.length : lf + 2, crLf === -1 ? block.length : crLf + 4);
}

/** The events of a block, each with its blank line. */
export function splitEvents(block: Buffer): Buffer[] {
  const events: Buffer[] = [];
  let start = 0;
  while (start < block.length) {
    const end = firstEventEnd(block, start);
    events.push(block.subarray(start, end));
    start = end;
  }
  return events;
}
