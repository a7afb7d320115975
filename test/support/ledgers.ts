/**
 * Three ledgers of the same requests: what clients were told, what upstreams would bill, what the database has. Each
 * request names itself in its text, so that all three can be compared call by call.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startUpstream, type Upstream, type UpstreamOptions } from '../../runbooks/lab/upstream.ts';
import { masterKey } from './gateway.ts';
import { query } from './query.ts';

/** What a client knows of a request: only answers that it has whole count. */
export interface ClientEntry {
  readonly callId: string;
  readonly status: number;
  readonly stream: boolean;
  /** Of the usage that it was shown; undefined without a whole answer. */
  readonly tokens: { readonly prompt: number; readonly completion: number } | undefined;
  /** Monotonic, milliseconds; until the last byte. */
  readonly sentAtMs: number;
  readonly tookMs: number;
}

export interface UpstreamEntry {
  readonly callId: string;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface DatabaseEntry {
  readonly callId: string;
  readonly id: string;
  readonly ending: string;
  readonly promptTokens: number | null;
  readonly completionTokens: number | null;
  readonly costMicros: bigint | null;
}

export interface Ledgers {
  readonly clients: readonly ClientEntry[];
  readonly upstreams: readonly UpstreamEntry[];
  readonly database: readonly DatabaseEntry[];
  /** A load balancer asks another gateway where one dies before its first byte: the provider is then called again. */
  readonly balanced?: boolean;
}

/** Call ids that do not agree; all empty = the three tell the same story. */
export interface Differences {
  /** A client has the whole answer, and no finished row, or one with other tokens. */
  readonly lost: readonly string[];
  /** An upstream was called, and no row says so. */
  readonly unrecorded: readonly string[];
  /** More than one row for one id, or more than one of a request that ended. */
  readonly doubled: readonly string[];
  /** A row says that it finished, and no upstream has finished it so. */
  readonly invented: readonly string[];
}

export function reconcile({ clients, upstreams, database, balanced = false }: Ledgers): Differences {
  const rows = Map.groupBy(database, ({ callId }) => callId);
  const served = Map.groupBy(upstreams, ({ callId }) => callId);
  const finished = (callId: string) => (rows.get(callId) ?? []).filter(({ ending }) => ending === 'finished');
  const lost = clients.filter(({ callId, status, tokens }) => {
    if (status !== 200 || tokens === undefined) return false;
    const [row] = finished(callId);
    return row?.promptTokens !== tokens.prompt || row.completionTokens !== tokens.completion;
  });
  const unrecorded = upstreams.filter(({ callId }) => !rows.has(callId));
  const doubled = [...rows].filter(([, entries]) => {
    // Attempts that may be billed have rows of their own, of unknown cost.
    const own = entries.filter(({ ending, costMicros }) => !(ending === 'failed' && costMicros === null));
    // Each dead gateway's own share of a request is one row more, and so is each call that the provider has served.
    const ended = balanced ? own.filter(({ ending }) => ending !== 'interrupted') : own;
    const calls = balanced ? Math.max(1, served.get(callIdIn(entries))?.length ?? 0) : 1;
    return ended.length > calls || new Set(entries.map(({ id }) => id)).size < entries.length;
  });
  const invented = database.filter(
    ({ callId, ending, promptTokens, completionTokens }) =>
      ending === 'finished' &&
      !(served.get(callId) ?? []).some(
        (entry) => entry.promptTokens === promptTokens && entry.completionTokens === completionTokens,
      ),
  );
  return {
    lost: lost.map(({ callId }) => callId),
    unrecorded: unrecorded.map(({ callId }) => callId),
    doubled: doubled.map(([callId]) => callId),
    invented: invented.map(({ callId }) => callId),
  };
}

const callIdIn = ([first]: readonly DatabaseEntry[]): string => first?.callId ?? '';

export const agreed: Differences = { lost: [], unrecorded: [], doubled: [], invented: [] };

/** An upstream that keeps books, also of answers that nobody took. */
export async function bookkeepingUpstream(
  options: Omit<UpstreamOptions, 'onServed'>,
): Promise<Upstream & { readonly entries: readonly UpstreamEntry[] }> {
  const entries: UpstreamEntry[] = [];
  const upstream = await startUpstream({
    ...options,
    onServed: ({ request, promptTokens, completionTokens }) =>
      entries.push({ callId: callIdOf(JSON.stringify(request.body)), promptTokens, completionTokens }),
  });
  return { ...upstream, entries };
}

const callIdOf = (text: string): string => /call (c-[\w-]+)\./.exec(text)?.[1] ?? 'unknown';

const usageSchema = z.object({ prompt_tokens: z.number(), completion_tokens: z.number() });
const answerSchema = z.object({ usage: usageSchema });

export interface ClientOptions {
  /** The master key's unless given. */
  readonly key?: string;
  /** Between an answer and the next question; 0 unless given. */
  readonly pauseMs?: number;
  /** Apart from that of other clients of the same ledgers. */
  readonly name?: string;
}

/** Clients that ask one after the other, at whatever gateway answers, and write down what they were told. */
export class Clients {
  readonly entries: ClientEntry[] = [];
  readonly #urls: readonly string[];
  readonly #options: ClientOptions;
  #serial = 0;
  #stopped = false;

  constructor(urls: readonly string[], options: ClientOptions = {}) {
    this.#urls = urls;
    this.#options = options;
  }

  /** Asks with so many at once until `stop`. Every third request is a stream. */
  async run(concurrency: number): Promise<void> {
    await Promise.all(
      Array.from({ length: concurrency }, async (_, client) => {
        while (!this.#stopped) {
          await this.#ask(client);
          const { pauseMs = 0 } = this.#options;
          if (pauseMs > 0 && !this.#stopped) await sleep(pauseMs);
        }
      }),
    );
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Whole answers so far. */
  get answered(): number {
    return this.entries.filter(({ tokens }) => tokens !== undefined).length;
  }

  async #ask(client: number): Promise<void> {
    const serial = ++this.#serial;
    const { key = masterKey, name = '' } = this.#options;
    const callId = `c-${name}${serial}`;
    const stream = serial % 3 === 0;
    const url = this.#urls[(client + serial) % this.#urls.length] ?? '';
    const sentAtMs = performance.now();
    const add = (status: number, tokens: ClientEntry['tokens']): void =>
      void this.entries.push({ callId, status, stream, tokens, sentAtMs, tookMs: performance.now() - sentAtMs });
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'x-litellm-call-id': callId },
        body: JSON.stringify({
          model: 'chat',
          messages: [{ role: 'user', content: `call ${callId}. ${'and more '.repeat(serial % 20)}` }],
          ...(stream ? { stream, stream_options: { include_usage: true } } : {}),
        }),
        signal: AbortSignal.timeout(20_000),
      });
      const text = await response.text();
      add(response.status, tokensOf(text, stream));
    } catch {
      // The gateway was killed, or is not there: the client knows nothing.
      add(0, undefined);
      await sleep(20);
    }
  }
}

function tokensOf(text: string, stream: boolean): ClientEntry['tokens'] {
  if (stream && !text.endsWith('data: [DONE]\n\n')) return undefined;
  const [json = '{}'] = stream ? (/{[^\n]*"usage":{[^\n]*}/.exec(text) ?? []) : [text];
  const usage = answerSchema.safeParse(JSON.parse(json)).data?.usage;
  return usage === undefined ? undefined : { prompt: usage.prompt_tokens, completion: usage.completion_tokens };
}

const rowSchema = z.object({
  callId: z.string(),
  id: z.string(),
  ending: z.string(),
  promptTokens: z.number().nullable(),
  completionTokens: z.number().nullable(),
  costMicros: z.bigint().nullable(),
});

export async function databaseEntries(url: string): Promise<DatabaseEntry[]> {
  const rows = await query(
    url,
    `SELECT call_id AS "callId", id::text, ending, prompt_tokens AS "promptTokens", cost_micros AS "costMicros",
       completion_tokens AS "completionTokens" FROM spend_entry`,
  );
  return z.array(rowSchema).parse(rows);
}
