/** One call for an answer, and all requests that wait for it. Whoever came first pays; when it leaves, the next one does. */
import type { Answer, ChunkSource, Reached } from '../domain/answer.ts';
import { type CacheEntry, type CacheMark, LeftWaiting } from '../domain/answer-cache.ts';
import { type Reader, SharedStream } from './shared-stream.ts';

/** What a call came to. */
export type Landing =
  /** The answer was in the shared store: nobody pays. */
  { readonly is: 'entry'; readonly entry: CacheEntry } | { readonly is: 'reached'; readonly reached: Reached };

export interface FlightOptions {
  readonly key: string;
  readonly maxEntryBytes: number;
  /** Makes the call. The signal fires when nobody waits any more. */
  readonly call: (signal: AbortSignal) => Promise<Landing>;
  /** The answer to keep; a stream's once it has finished. */
  readonly onAnswer: (reached: Reached, body: Buffer) => void;
  /** Nothing more comes of it: from now on a new call has to be made. */
  readonly onOver: (flight: Flight) => void;
}

interface Passenger {
  reader: Reader | undefined;
}

export class Flight {
  readonly #options: FlightOptions;
  readonly #controller = new AbortController();
  /** In the order of arrival, without those that left before the end. */
  readonly #passengers = new Set<Passenger>();
  #landing: Promise<Landing> | undefined;
  #stream: SharedStream | undefined;
  /** Set once it is certain: nobody can take over a bill that is written. */
  #payer: Passenger | undefined;
  #abandoned = false;

  constructor(options: FlightOptions) {
    this.#options = options;
  }

  get joinable(): boolean {
    return !this.#abandoned && this.#payer === undefined && (this.#stream?.joinable ?? true);
  }

  /**
   * Waits for the answer, at most until the signal fires.
   * @param replay makes an answer of an entry; undefined = it will not do for this request.
   * @throws LeftWaiting when the signal fired and others go on; FailedElsewhere; whatever the call threw, to its payer.
   */
  async board(signal: AbortSignal, replay: (entry: CacheEntry) => Reached | undefined): Promise<Reached> {
    const passenger: Passenger = { reader: undefined };
    this.#passengers.add(passenger);
    if (this.#stream !== undefined) this.#seat(passenger, this.#stream);
    this.#landing ??= this.#fly();
    const landing = await this.#landedFor(passenger, signal);
    if (landing.is === 'entry') {
      const replayed = replay(landing.entry);
      if (replayed === undefined) throw new FailedElsewhere(undefined);
      return replayed;
    }
    const { reached } = landing;
    const cache: CacheMark = {
      key: this.#options.key,
      isHit: () => (this.#payer ?? this.#firstPassenger()) !== passenger,
    };
    const { reader } = passenger;
    if (reader === undefined) return { ...this.#asSeenBy(passenger, reached), cache };
    if (signal.aborted) reader.fail(asError(signal.reason));
    signal.addEventListener('abort', () => reader.fail(asError(signal.reason)), { once: true });
    return { ...this.#asSeenBy(passenger, reached, reader), cache };
  }

  /** Attempts are counted for the payer alone, and the deployment is busy with one call, however many wait for it. */
  #asSeenBy(passenger: Passenger, reached: Reached, chunks?: ChunkSource): Reached {
    const { answer } = reached;
    const seen: Answer = chunks === undefined || answer.kind === 'whole' ? answer : { ...answer, chunks };
    const pays = this.#firstPassenger() === passenger;
    return { ...reached, answer: seen, release: () => undefined, ...(pays ? {} : { attempts: 0, fallbacks: 0 }) };
  }

  #landedFor(passenger: Passenger, signal: AbortSignal): Promise<Landing> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        const reason = asError(signal.reason);
        // The last one waits for the end of the call, which tells what it may have cost.
        if (this.#leave(passenger, reason)) {
          passenger.reader?.abort(reason);
          reject(new LeftWaiting(reason));
        }
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#landing?.then(
        (landing) => {
          signal.removeEventListener('abort', onAbort);
          resolve(landing);
        },
        (error: unknown) => {
          signal.removeEventListener('abort', onAbort);
          reject(this.#payer === passenger ? asError(error) : new FailedElsewhere(error));
        },
      );
      if (signal.aborted) onAbort();
    });
  }

  async #fly(): Promise<Landing> {
    // Everybody who asks in this turn of the event loop is on board before the call is made.
    try {
      const landing = await this.#options.call(this.#controller.signal);
      if (landing.is === 'entry') this.#over();
      else this.#land(landing.reached);
      return landing;
    } catch (error) {
      this.#over();
      throw error;
    }
  }

  #land(reached: Reached): void {
    const { answer, release } = reached;
    if (answer.kind === 'whole') {
      release();
      this.#options.onAnswer(reached, answer.body);
      this.#over();
      return;
    }
    const stream = new SharedStream({
      source: answer.chunks,
      maxEntryBytes: this.#options.maxEntryBytes,
      onOver: (whole) => {
        release();
        if (whole !== undefined) this.#options.onAnswer(reached, whole);
        this.#over();
      },
      onAbandoned: () => {
        release();
        this.#over();
      },
    });
    this.#stream = stream;
    // At once and for all, so that none of them misses the beginning.
    for (const passenger of this.#passengers) this.#seat(passenger, stream);
  }

  #seat(passenger: Passenger, stream: SharedStream): void {
    passenger.reader = stream.join((reason) => void this.#leave(passenger, reason));
  }

  /** @returns whether others go on. */
  #leave(passenger: Passenger, reason: Error): boolean {
    if (this.#payer !== undefined || !this.#passengers.has(passenger)) return true;
    if (this.#passengers.size > 1) {
      this.#passengers.delete(passenger);
      return true;
    }
    this.#abandoned = true;
    if (this.#stream === undefined) this.#controller.abort(reason);
    return false;
  }

  #over(): void {
    this.#payer ??= this.#firstPassenger();
    this.#options.onOver(this);
  }

  #firstPassenger(): Passenger | undefined {
    const [first] = this.#passengers;
    return first;
  }
}

/** The call failed, and another request has its failure: this one may still be asked for. */
export class FailedElsewhere extends Error {
  constructor(cause: unknown) {
    super('a call that several requests shared has failed', { cause });
    this.name = 'FailedElsewhere';
  }
}

const asError = (value: unknown): Error => (value instanceof Error ? value : new Error(String(value)));
