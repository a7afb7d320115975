/**
 * Turns the deltas of one canonical answer into blocks, one after the other. A whole message is read as one big delta, so
 * a stream and a whole reply cannot be translated differently.
 */
import type { JsonObject } from '../../domain/request.ts';
import type { Block, BlockEvent, BlockKind } from './block.ts';
import { Draft } from './draft.ts';
import { isObject, objectOf, objectsOf, textOf } from './json.ts';

/**
 * Calls whose arguments arrive interleaved wait for the call that began before them: no client expects two open blocks.
 * Holds the state of one answer.
 */
export class BlockSequencer {
  readonly #answerId: string;
  /** Blocks that are not finished, oldest first; only the first one is visible to the client. */
  readonly #drafts: Draft[] = [];
  readonly #calls = new Map<number, Draft>();
  #callCount = 0;

  /** @param answerId used to make ids for calls of upstreams that give none. */
  constructor(answerId: string) {
    this.#answerId = answerId;
  }

  /** @param choice `choices[0]` of a chunk or of a whole reply. */
  read(choice: JsonObject): BlockEvent[] {
    const delta = objectOf(choice['delta'] ?? choice['message']);
    this.#readReasoning(delta);
    const logprobs = objectOf(choice['logprobs'])['content'];
    this.#append('text', textOf(delta['content']), Array.isArray(logprobs) ? logprobs : []);
    if (Array.isArray(delta['annotations'])) this.#last('text')?.annotations.push(...delta['annotations']);
    this.#append('refusal', textOf(delta['refusal']));
    for (const [position, call] of objectsOf(delta['tool_calls']).entries()) this.#readCall(call, position);
    return this.#progress();
  }

  /** The answer is over. */
  finish(): BlockEvent[] {
    return this.#drafts.splice(0).flatMap((draft) => draft.finish());
  }

  /** LiteLLM's `thinking_blocks` tell more than `reasoning_content`, which repeats their text. vLLM says `reasoning`. */
  #readReasoning(delta: JsonObject): void {
    const blocks = objectsOf(delta['thinking_blocks']);
    if (!blocks.some((block) => textOf(block['thinking']) !== undefined)) {
      this.#append('thinking', textOf(delta['reasoning_content']) ?? textOf(delta['reasoning']));
    }
    for (const block of blocks) {
      if (block['type'] === 'redacted_thinking') {
        this.#open('redacted').append(textOf(block['data']) ?? '');
        continue;
      }
      const text = textOf(block['thinking']);
      const signature = textOf(block['signature']);
      // Some upstreams repeat the whole text beside its signature.
      const repeated = signature !== undefined && text !== undefined && this.#unsigned()?.text === text;
      if (!repeated) this.#append('thinking', text);
      // A signature closes its block; the next reasoning is another one.
      if (signature !== undefined) (this.#unsigned() ?? this.#open('thinking')).signature = signature;
    }
  }

  #readCall(call: JsonObject, position: number): void {
    const { index } = call;
    const key = typeof index === 'number' ? index : position;
    const described = objectOf(call['function']);
    const id = textOf(call['id']);
    let draft = this.#calls.get(key);
    // Some upstreams number every call 0; a new id is a new call.
    if (draft === undefined || (id !== undefined && draft.givenId !== undefined && draft.givenId !== id)) {
      draft = this.#open('tool');
      draft.id = `call_${this.#answerId}_${this.#callCount++}`;
      this.#calls.set(key, draft);
    }
    if (id !== undefined) draft.give(id);
    draft.name ||= textOf(described['name']) ?? '';
    const given = described['arguments'];
    draft.append(isObject(given) ? JSON.stringify(given) : (textOf(given) ?? ''));
  }

  #append(kind: BlockKind, text: string | undefined, logprobs: readonly unknown[] = []): void {
    if (text === undefined) return;
    const draft = kind === 'thinking' ? this.#unsigned() : this.#last(kind);
    (draft ?? this.#open(kind)).append(text, logprobs);
  }

  /** The newest block, if it is of this kind. */
  #last(kind: BlockKind): Draft | undefined {
    const last = this.#drafts.at(-1);
    return last?.kind === kind ? last : undefined;
  }

  /** Reasoning that is still being written. */
  #unsigned(): Draft | undefined {
    const last = this.#last('thinking');
    return last?.signature === '' ? last : undefined;
  }

  #open(kind: BlockKind): Draft {
    const draft = new Draft(kind);
    this.#drafts.push(draft);
    return draft;
  }

  #progress(): BlockEvent[] {
    const events: BlockEvent[] = [];
    for (let first = this.#drafts[0]; first !== undefined; first = this.#drafts[0]) {
      events.push(...first.progress());
      if (this.#drafts.length === 1 || !first.complete) break;
      events.push(...first.finish());
      this.#drafts.shift();
    }
    return events;
  }
}

/** The blocks of a whole choice. */
export function blocksOf(choice: JsonObject, answerId: string): Block[] {
  const sequencer = new BlockSequencer(answerId);
  return [...sequencer.read(choice), ...sequencer.finish()].flatMap((event) =>
    event.is === 'stop' ? [event.block] : [],
  );
}
