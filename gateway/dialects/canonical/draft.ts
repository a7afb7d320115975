/** A block that still grows: what has arrived of it, and what of that has not been told yet. */
import type { Block, BlockEvent, BlockKind } from './block.ts';
import { parseJson } from './json.ts';

export class Draft {
  readonly kind: BlockKind;
  /** Text, reasoning, refusal, arguments, or redacted data. */
  text = '';
  signature = '';
  /** Of a call: its upstream's id, else one made here. */
  id = '';
  givenId: string | undefined;
  name = '';
  annotations: unknown[] = [];
  #logprobs: unknown[] = [];
  /** What the client has not been told. The text itself is only ever appended to: cutting it would copy it. */
  #untold = '';
  #untoldLogprobs: unknown[] = [];
  #started = false;

  constructor(kind: BlockKind) {
    this.kind = kind;
  }

  give(id: string): void {
    // A call that was announced keeps its id.
    if (!this.#started) this.id = id;
    this.givenId = id;
  }

  append(text: string, logprobs: readonly unknown[] = []): void {
    this.text += text;
    this.#untold += text;
    this.#logprobs.push(...logprobs);
    this.#untoldLogprobs.push(...logprobs);
  }

  /** Whether nothing more can belong to this block once another one has begun. */
  get complete(): boolean {
    if (this.kind !== 'tool') return true;
    return this.name !== '' && this.text.trimEnd().endsWith('}') && parseJson(this.text) !== undefined;
  }

  /** What the client has not been told yet. */
  progress(): BlockEvent[] {
    // A call cannot be announced before it has a name.
    if (this.kind === 'tool' && this.name === '') return [];
    const events: BlockEvent[] = [];
    if (!this.#started) {
      this.#started = true;
      events.push({ is: 'start', block: this.#block(false) });
    }
    if (this.#untold !== '' && this.kind !== 'redacted') {
      events.push({ is: 'piece', kind: this.kind, text: this.#untold, logprobs: this.#untoldLogprobs });
    }
    this.#untold = '';
    this.#untoldLogprobs = [];
    return events;
  }

  /** The rest, and the end of the block. */
  finish(): BlockEvent[] {
    if (this.kind === 'tool' && this.name === '') this.name = 'unnamed';
    return [...this.progress(), { is: 'stop', block: this.#block(true) }];
  }

  /** At its start a block has no content yet; redacted data never comes in pieces. */
  #block(finished: boolean): Block {
    const text = finished ? this.text : '';
    switch (this.kind) {
      case 'thinking':
        return { is: 'thinking', text, signature: finished ? this.signature : '' };
      case 'redacted':
        return { is: 'redacted', data: this.text };
      case 'text':
        return finished
          ? { is: 'text', text, logprobs: this.#logprobs, annotations: this.annotations }
          : { is: 'text', text, logprobs: [], annotations: [] };
      case 'refusal':
        return { is: 'refusal', text };
      case 'tool':
        return { is: 'tool', id: this.id, name: this.name, arguments: text };
    }
  }
}
