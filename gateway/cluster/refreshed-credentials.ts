/** Credentials that end: asked for once however many wait, asked for again before their end, so that no request waits. */

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/**
 * Answers at once while it holds credentials that are valid; the signal ends the caller's own wait and nobody else's.
 * @throws AwsCredentialsUnavailable, or the signal's reason.
 */
export type AwsCredentialSource = (signal?: AbortSignal) => Promise<AwsCredentials>;

/** Never holds a secret in its message. */
export class AwsCredentialsUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'AwsCredentialsUnavailable';
  }
}

export interface HeldCredentials {
  readonly credentials: AwsCredentials;
  /** Undefined when they do not expire. */
  readonly expiresAtMs: number | undefined;
}

export interface RefreshOptions {
  /** Wall clock, milliseconds: credentials expire by it. */
  readonly now: () => number;
  /** A refresh failed while the credentials at hand are still valid. */
  readonly onRefreshFailed: (error: Error) => void;
}

/** Refreshed this long before the end: several tries fit in, and a request never waits for one. */
const refreshAheadMs = 5 * 60_000;
/** A signature must still be valid when it arrives. */
const leastValidMs = 30_000;
/** Between two tries while the credentials at hand still serve. */
const retryAfterMs = 10_000;

/** @param ask must end by itself, in a bounded time. */
export function refreshed(ask: () => Promise<HeldCredentials>, options: RefreshOptions): AwsCredentialSource {
  const refreshing = new RefreshedCredentials(ask, options);
  return (signal) => refreshing.credentials(signal);
}

class RefreshedCredentials {
  readonly #fetch: () => Promise<HeldCredentials>;
  readonly #options: RefreshOptions;
  #held: HeldCredentials | undefined;
  /** The one question that is under way. */
  #asking: Promise<HeldCredentials> | undefined;
  #notBeforeMs = 0;

  constructor(ask: () => Promise<HeldCredentials>, options: RefreshOptions) {
    this.#fetch = ask;
    this.#options = options;
  }

  async credentials(signal: AbortSignal | undefined): Promise<AwsCredentials> {
    const held = this.#held;
    const leftMs = held === undefined ? 0 : (held.expiresAtMs ?? Number.POSITIVE_INFINITY) - this.#options.now();
    if (held === undefined || leftMs < leastValidMs) return (await orAborted(this.#ask(), signal)).credentials;
    if (leftMs < refreshAheadMs && this.#options.now() >= this.#notBeforeMs) {
      this.#ask().catch((error: unknown) => this.#options.onRefreshFailed(asError(error)));
    }
    return held.credentials;
  }

  #ask(): Promise<HeldCredentials> {
    this.#asking ??= this.#fetch()
      .then((held) => (this.#held = held))
      .finally(() => {
        this.#asking = undefined;
        this.#notBeforeMs = this.#options.now() + retryAfterMs;
      });
    return this.#asking;
  }
}

/** The promise, or the signal's reason if that fires first. What the promise becomes then is the affair of those who still wait. */
function orAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(asError(signal.reason));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** `fetch` hides what happened to the connection in its cause. */
export function reasonOf(error: unknown): string {
  const { message, cause } = asError(error);
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}

const largestAnswerBytes = 64 * 1024;

export async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > largestAnswerBytes) throw new Error('the answer is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
