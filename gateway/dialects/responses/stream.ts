/** Events of a Responses stream. https://platform.openai.com/docs/api-reference/responses-streaming */
import type { JsonObject } from '../../domain/request.ts';
import type { StreamWriter } from '../canonical/answer-stream.ts';
import type { Block, BlockEvent } from '../canonical/block.ts';
import { namedEvent } from '../canonical/events.ts';
import { type AnswerFacts, noFacts } from '../canonical/reply.ts';
import type { ErrorEnvelope } from '../dialect.ts';
import { argumentsOf, contentPart, type ItemStatus, itemId, outputItem, summaryPart } from './output.ts';
import { emptyResponse, endedResponse } from './reply.ts';

type Piece = Extract<BlockEvent, { is: 'piece' }>;

export class ResponsesWriter implements StreamWriter {
  readonly #request: JsonObject;
  readonly #output: JsonObject[] = [];
  #facts: AnswerFacts | undefined;
  #sequence = 0;
  /** Id of the open item, and whether its part was announced. */
  #item = '';
  #part = false;

  constructor(request: JsonObject) {
    this.#request = request;
  }

  begin(facts: AnswerFacts): string {
    this.#facts = facts;
    const response = emptyResponse(facts, this.#request);
    return this.#event('response.created', { response }) + this.#event('response.in_progress', { response });
  }

  block(change: BlockEvent, cut: boolean): string {
    switch (change.is) {
      case 'start':
        return this.#start(change.block);
      case 'piece':
        return this.#piece(change);
      case 'stop':
        return this.#stop(change.block, cut ? 'incomplete' : 'completed');
    }
  }

  finish(facts: AnswerFacts): string {
    const response = endedResponse(facts, this.#request, this.#output);
    return this.#event(response['status'] === 'completed' ? 'response.completed' : 'response.incomplete', { response });
  }

  /** The API sends its error flat by its reference and nested in practice; clients read either. */
  fail(envelope: ErrorEnvelope): string {
    const { message, param, code } = envelope;
    const error = this.#event('error', { code, message, param, error: envelope });
    if (this.#facts === undefined) return error;
    const failed = { status: 'failed', error: { code: failureCode(Number(code)), message }, output: this.#output };
    return (
      error + this.#event('response.failed', { response: { ...emptyResponse(this.#facts, this.#request), ...failed } })
    );
  }

  #start(block: Block): string {
    this.#item = itemId(block, this.#output.length, this.#answerId);
    this.#part = false;
    const empty = block.is === 'redacted' ? { ...block, data: '' } : block;
    const item = outputItem(empty, this.#output.length, this.#answerId, 'in_progress');
    // A part that is announced later must not stand in the item already.
    const bare = 'content' in item ? { ...item, content: [] } : 'summary' in item ? reasoning(item) : item;
    return this.#event('response.output_item.added', { output_index: this.#output.length, item: bare });
  }

  #piece(piece: Piece): string {
    const opened = this.#part ? '' : this.#openPart(piece.kind);
    return opened + this.#delta(piece);
  }

  #openPart(kind: Piece['kind']): string {
    this.#part = true;
    switch (kind) {
      case 'thinking':
        return this.#onItem('reasoning_summary_part.added', { summary_index: 0, part: summaryPart('') });
      case 'text':
        return this.#onItem('content_part.added', { content_index: 0, part: contentPart(emptyText) });
      case 'refusal':
        return this.#onItem('content_part.added', { content_index: 0, part: contentPart(emptyRefusal) });
      case 'redacted':
      case 'tool':
        return '';
    }
  }

  #delta({ kind, text: delta, logprobs }: Piece): string {
    switch (kind) {
      case 'thinking':
        return this.#onItem('reasoning_summary_text.delta', { summary_index: 0, delta });
      case 'text':
        return this.#onItem('output_text.delta', { content_index: 0, delta, logprobs });
      case 'refusal':
        return this.#onItem('refusal.delta', { content_index: 0, delta });
      case 'tool':
        return this.#onItem('function_call_arguments.delta', { delta });
      case 'redacted':
        return '';
    }
  }

  #stop(block: Block, status: ItemStatus): string {
    const closed = this.#closePart(block);
    const index = this.#output.length;
    const item = outputItem(block, index, this.#answerId, status);
    this.#output.push(item);
    return closed + this.#event('response.output_item.done', { output_index: index, item });
  }

  #closePart(block: Block): string {
    switch (block.is) {
      case 'thinking': {
        if (!this.#part) return '';
        const { text } = block;
        return (
          this.#onItem('reasoning_summary_text.done', { summary_index: 0, text }) +
          this.#onItem('reasoning_summary_part.done', { summary_index: 0, part: summaryPart(text) })
        );
      }
      case 'text': {
        const { text, logprobs } = block;
        return (
          this.#onItem('output_text.done', { content_index: 0, text, logprobs }) +
          this.#onItem('content_part.done', { content_index: 0, part: contentPart(block) })
        );
      }
      case 'refusal':
        return (
          this.#onItem('refusal.done', { content_index: 0, refusal: block.text }) +
          this.#onItem('content_part.done', { content_index: 0, part: contentPart(block) })
        );
      case 'tool':
        return this.#onItem('function_call_arguments.done', { name: block.name, arguments: argumentsOf(block) });
      case 'redacted':
        return '';
    }
  }

  get #answerId(): string {
    return (this.#facts ?? noFacts).id;
  }

  #onItem(name: string, data: JsonObject): string {
    return this.#event(`response.${name}`, { item_id: this.#item, output_index: this.#output.length, ...data });
  }

  #event(type: string, data: JsonObject): string {
    return namedEvent(type, { type, sequence_number: this.#sequence++, ...data });
  }
}

const emptyText = { is: 'text', text: '', logprobs: [], annotations: [] } as const;
const emptyRefusal = { is: 'refusal', text: '' } as const;

/** What proves reasoning comes with its end. */
const reasoning = (item: JsonObject): JsonObject => ({ ...item, encrypted_content: null });

/** The API's own words for failures of an answer. */
const failureCode = (status: number): string =>
  status === 429 ? 'rate_limit_exceeded' : status >= 400 && status < 500 ? 'invalid_prompt' : 'server_error';
