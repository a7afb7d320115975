/** Streams that already speak the client's format: cut into whole events and relayed without touching the ones it need not read. */
import type { Deployment } from '../domain/deployment.ts';
import { UpstreamError } from '../domain/errors.ts';
import type { ModelRequest } from '../domain/request.ts';
import type { EventRules, StreamDecoder, StreamPart } from './adapter.ts';
import { blankLine, commentMark, EventBlocks, splitEvents, tooLarge, withoutLeadingComments } from './event-blocks.ts';

const done = Buffer.from('data: [DONE]\n\n');
const dataLine = Buffer.from('\ndata:');

export class PassThroughDecoder implements StreamDecoder {
  readonly #rules: EventRules;
  readonly #request: ModelRequest;
  readonly #deployment: Deployment;
  readonly #events = new EventBlocks();
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
    const block = this.#events.push(bytes);
    if (block === undefined) this.#break(tooLarge, parts);
    else if (block.length > 0) this.#onBlock(block, parts);
    return parts;
  }

  end(): readonly StreamPart[] {
    const parts: StreamPart[] = [];
    if (this.#over) return parts;
    // Some servers forget the blank line behind their last event.
    const rest = this.#events.rest();
    if (rest !== undefined && isWhole(rest)) this.#onBlock(Buffer.concat([rest, blankLine]), parts);
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
