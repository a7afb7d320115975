/** Sends the events of one log to the ledger: where it stands, what goes next, what becomes of values it refuses. */
import { type SpendLedger, SpendRefused } from '../domain/spend.ts';
import { idOf, reducedText } from './record-text.ts';
import type { EventSource } from './stored-events.ts';

export interface ShippingEvents {
  /** The ledger took an event only with less in it. Money and accounts stay as far as they can. */
  readonly onReduced: (requestId: string, reason: string) => void;
  /** Events that neither memory nor disk have any more. */
  readonly onLost: (logId: string, count: number) => void;
}

export const largestBatch = 2_000;
/** A database that is slow gets smaller batches, down to this. */
const smallestBatch = 50;
/** About what a statement of this length costs is measured; more text at once would only take memory. */
const longestBatchText = 8 * 1024 * 1024;

export class Shipping {
  readonly #source: EventSource;
  readonly #ledger: SpendLedger;
  readonly #events: ShippingEvents;
  /** What is sent instead of an event that was refused, by number. */
  readonly #replaced = new Map<number, { readonly text: string; readonly step: number }>();
  #appliedSeq: number;
  #limit = largestBatch;
  /** Halved until the refused event is alone. */
  #refusedLimit: number | undefined;

  constructor(source: EventSource, ledger: SpendLedger, appliedSeq: number, events: ShippingEvents) {
    this.#source = source;
    this.#ledger = ledger;
    this.#appliedSeq = appliedSeq;
    this.#events = events;
  }

  get appliedSeq(): number {
    return this.#appliedSeq;
  }

  /** Also below what was applied before: a replica that was promoted may lack the last events. */
  set appliedSeq(seq: number) {
    this.#appliedSeq = seq;
  }

  get isDone(): boolean {
    return this.#appliedSeq >= this.#source.lastSeq;
  }

  /** On its way to the event that was refused. */
  get isNarrowing(): boolean {
    return this.#refusedLimit !== undefined;
  }

  /** One call of the ledger. Do not call when it is done. @throws when the ledger gave no answer; nothing has changed. */
  async step(): Promise<void> {
    const from = this.#appliedSeq + 1;
    const { first, texts } = await this.#source.read(from, this.#refusedLimit ?? this.#limit);
    if (first > from) {
      const reached = await this.#ledger.skip(this.#source.id, first - 1);
      this.#events.onLost(this.#source.id, first - from);
      this.#appliedSeq = reached;
      return;
    }
    const events = this.#prepared(first, texts);
    if (events.length === 0) throw new Error(`log ${this.#source.id} has no event ${first}`);
    let reached: number;
    try {
      reached = await this.#ledger.ship(this.#source.id, first, events);
    } catch (error) {
      if (error instanceof SpendRefused && this.#narrow(first, events, error.message)) return;
      this.#limit = Math.max(smallestBatch, Math.ceil(events.length / 2));
      throw error;
    }
    if (reached === this.#appliedSeq) throw new Error('the ledger neither took the events nor refused them');
    this.#appliedSeq = reached;
    this.#limit = Math.min(largestBatch, this.#limit * 2);
    this.#refusedLimit = undefined;
    for (const seq of this.#replaced.keys()) if (seq <= reached) this.#replaced.delete(seq);
  }

  #prepared(first: number, texts: readonly string[]): string[] {
    const events: string[] = [];
    let length = 0;
    for (const [index, text] of texts.entries()) {
      const event = this.#replaced.get(first + index)?.text ?? text;
      length += event.length;
      if (length > longestBatchText && events.length > 0) break;
      events.push(event);
    }
    return events;
  }

  /** @returns false when nothing is left to try. */
  #narrow(first: number, events: readonly string[], reason: string): boolean {
    const [event] = events;
    if (event === undefined) return false;
    if (events.length > 1) {
      this.#refusedLimit = Math.ceil(events.length / 2);
      return true;
    }
    const step = (this.#replaced.get(first)?.step ?? 0) + 1;
    const text = reducedText(event, step);
    if (text === undefined) return false;
    this.#replaced.set(first, { text, step });
    if (step === 1) this.#events.onReduced(idOf(event), reason);
    return true;
  }
}
