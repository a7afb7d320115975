/** Events of a Messages stream. https://platform.claude.com/docs/en/build-with-claude/streaming */
import type { JsonObject } from '../../domain/request.ts';
import type { StreamWriter } from '../canonical/answer-stream.ts';
import type { Block, BlockEvent, BlockKind } from '../canonical/block.ts';
import { namedEvent } from '../canonical/events.ts';
import type { AnswerFacts } from '../canonical/reply.ts';
import type { ErrorEnvelope } from '../dialect.ts';
import { errorBody } from './error.ts';
import { contentBlock, emptyMessage, stopOf, usageOf } from './reply.ts';

export class MessagesWriter implements StreamWriter {
  readonly #blocks: Block[] = [];

  begin(facts: AnswerFacts): string {
    return event('message_start', { message: emptyMessage(facts) });
  }

  block(change: BlockEvent): string {
    const index = this.#blocks.length;
    switch (change.is) {
      case 'start':
        return event('content_block_start', { index, content_block: contentBlock(change.block) });
      case 'piece':
        return event('content_block_delta', { index, delta: deltaOf(change.kind, change.text) });
      case 'stop':
        this.#blocks.push(change.block);
        return signature(change.block, index) + event('content_block_stop', { index });
    }
  }

  finish(facts: AnswerFacts): string {
    const delta = { ...stopOf(facts, this.#blocks), container: null };
    return event('message_delta', { delta, usage: usageOf(facts) }) + event('message_stop', {});
  }

  fail(envelope: ErrorEnvelope): string {
    return namedEvent('error', errorBody(Number(envelope.code), envelope));
  }
}

const event = (type: string, data: JsonObject): string => namedEvent(type, { type, ...data });

/** A signature comes whole: the official client replaces what it has. */
const signature = (block: Block, index: number): string =>
  block.is === 'thinking' && block.signature !== ''
    ? event('content_block_delta', { index, delta: { type: 'signature_delta', signature: block.signature } })
    : '';

function deltaOf(kind: BlockKind, text: string): JsonObject {
  switch (kind) {
    case 'thinking':
    case 'redacted':
      return { type: 'thinking_delta', thinking: text };
    case 'text':
    case 'refusal':
      return { type: 'text_delta', text };
    case 'tool':
      return { type: 'input_json_delta', partial_json: text };
  }
}
