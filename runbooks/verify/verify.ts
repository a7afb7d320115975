/**
 * Asks a gateway what a client asks, and looks whether the spend of it arrives: the end of every book. A gateway whose
 * health page is green and whose completions fail is what this is for.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { healthPaths } from '../../gateway/contract.ts';
import type { CheckName, Finding } from '../books/finding.ts';
import { messageOf } from '../engine/look.ts';

export interface VerifyOptions {
  /** Address of the gateway, without a path. */
  readonly url: string;
  /** May call the model. */
  readonly key: string;
  /** The first model of the gateway's list when not given. */
  readonly model?: string;
  /** The first whose model has `embed` in its name when not given; none = the check is skipped, visibly. */
  readonly embeddingModel?: string;
  /** Make, read back and delete a key that can do nothing. Needs an administrator's key. */
  readonly write: boolean;
  /** For one answer. */
  readonly timeoutSeconds: number;
  /** Until the row of the completion must be in the ledger. */
  readonly spendPatienceSeconds: number;
  readonly signal: AbortSignal;
  readonly onFinding?: (finding: Finding) => void;
}

/** A check that does not hold; its message is for people. */
class Failed extends Error {}
/** There is nothing to ask. */
class Skipped extends Error {}

const betweenLooksMs = 250;

/** Every check is made, whatever the ones before it found. */
export async function verify(options: VerifyOptions): Promise<readonly Finding[]> {
  const asked = new Asked(options);
  const checks: readonly (readonly [CheckName, () => Promise<string>])[] = [
    ['health', () => asked.health()],
    ['completion', () => asked.completion()],
    ['stream', () => asked.stream()],
    ['embeddings', () => asked.embeddings()],
    ['spend', () => asked.spend()],
    ...(options.write ? [['write', () => asked.write()] as const] : []),
  ];
  const findings: Finding[] = [];
  for (const [check, ask] of checks) {
    const finding = await findingOf(check, ask, options.signal);
    findings.push(finding);
    options.onFinding?.(finding);
  }
  return findings;
}

async function findingOf(check: CheckName, ask: () => Promise<string>, signal: AbortSignal): Promise<Finding> {
  const startedAt = performance.now();
  const seconds = (): number => (performance.now() - startedAt) / 1000;
  try {
    return { check, is: 'ok', note: await ask(), seconds: seconds() };
  } catch (error) {
    signal.throwIfAborted();
    return { check, is: error instanceof Skipped ? 'skipped' : 'failed', note: noteOf(error), seconds: seconds() };
  }
}

const listSchema = z.object({ data: z.array(z.object({ id: z.string() })) });
const infoSchema = z.object({
  data: z.array(z.object({ model_name: z.string(), litellm_params: z.object({ model: z.string() }) })),
});
const completionSchema = z.object({
  choices: z.array(z.object({ message: z.object({ content: z.string().nullable() }) })).min(1),
});
const embeddingsSchema = z.object({ data: z.array(z.object({ embedding: z.array(z.number()).min(1) })).min(1) });
const rowsSchema = z.array(z.object({ spend: z.number().nullable() }));
const madeSchema = z.object({ key: z.string(), token: z.string().optional() });
const healthSchema = z.object({ status: z.string(), reasons: z.array(z.string()).optional() });

class Asked {
  readonly #options: VerifyOptions;
  #callId: string | undefined;

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  async health(): Promise<string> {
    const { status, reasons } = healthSchema.parse(await this.#json(healthPaths.readiness));
    if (status === 'healthy') return status;
    if (status === 'degraded') return `degraded, and serves: ${(reasons ?? []).join('; ')}`;
    throw new Failed(`it says ${status}`);
  }

  async completion(): Promise<string> {
    const model = await this.#model();
    const callId = `verify-${randomUUID()}`;
    const response = await this.#ask('/v1/chat/completions', question(model), { 'x-litellm-call-id': callId });
    const answer = completionSchema.safeParse(await response.json());
    if (!answer.success) throw new Failed(`${model} answered without a choice`);
    this.#callId = callId;
    return `${model} answered`;
  }

  /** A stream counts when it ends as streams end: one that is cut off looks like an answer otherwise. */
  async stream(): Promise<string> {
    const model = await this.#model();
    const response = await this.#ask('/v1/chat/completions', { ...question(model), stream: true });
    const text = await response.text();
    const chunks = text.split('\n').filter((line) => line.startsWith('data: {')).length;
    if (chunks === 0) throw new Failed('no chunk came');
    if (!text.includes('data: [DONE]')) throw new Failed(`it was cut off after ${chunks} chunks`);
    return `${chunks} chunks, and its end`;
  }

  async embeddings(): Promise<string> {
    const model = this.#options.embeddingModel ?? (await this.#embeddingModel());
    const response = await this.#ask('/v1/embeddings', { model, input: 'Holdfast asks whether embeddings come.' });
    const answer = embeddingsSchema.safeParse(await response.json());
    if (!answer.success) throw new Failed(`${model} answered without a vector`);
    return `${model}: ${answer.data.data[0]?.embedding.length ?? 0} numbers`;
  }

  async spend(): Promise<string> {
    const callId = this.#callId;
    if (callId === undefined) throw new Failed('the completion failed, so there is nothing to look for');
    const { spendPatienceSeconds, signal } = this.#options;
    const deadline = performance.now() + spendPatienceSeconds * 1000;
    for (;;) {
      const rows = rowsSchema.parse(await this.#json(`/spend/logs?request_id=${encodeURIComponent(callId)}`));
      const [row] = rows;
      if (rows.length > 1) throw new Failed(`${rows.length} rows for one completion`);
      if (row !== undefined) return row.spend === null ? 'the row is there, without a price' : `$${row.spend}`;
      if (performance.now() >= deadline) throw new Failed(`no row after ${spendPatienceSeconds} s`);
      await sleep(betweenLooksMs, undefined, { signal });
    }
  }

  /** A key without rights, deleted again; its alias says where it comes from if the deletion is lost. */
  async write(): Promise<string> {
    const alias = `holdfast-verify-${randomUUID()}`;
    const body = { key_alias: alias, max_budget: 0, duration: '10m' };
    const made = madeSchema.parse(await (await this.#ask('/key/generate', body)).json());
    const found = await this.#json(`/key/info?key=${encodeURIComponent(made.key)}`);
    if (!JSON.stringify(found).includes(alias)) throw new Failed('what was written cannot be read back');
    await this.#ask('/key/delete', { keys: [made.key] });
    return 'a key was made, read back and deleted';
  }

  async #model(): Promise<string> {
    if (this.#options.model !== undefined) return this.#options.model;
    const { data } = listSchema.parse(await this.#json('/v1/models'));
    const known = new Set(await this.#embeddingModels());
    const model = data.find(({ id }) => !known.has(id)) ?? data[0];
    if (model === undefined) throw new Failed('the key may call no model');
    return model.id;
  }

  async #embeddingModel(): Promise<string> {
    const [model] = await this.#embeddingModels();
    if (model === undefined)
      throw new Skipped('no model of the gateway has `embed` in its name; name one (--embedding-model)');
    return model;
  }

  async #embeddingModels(): Promise<string[]> {
    const { data } = infoSchema.parse(await this.#json('/model/info'));
    return data.filter(({ litellm_params: { model } }) => /embed/i.test(model)).map((entry) => entry.model_name);
  }

  async #json(path: string): Promise<unknown> {
    return (await this.#ask(path)).json();
  }

  /** @throws Failed with what the gateway said when it did not answer 2xx. */
  async #ask(path: string, body?: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    const isOpen = path === healthPaths.readiness;
    const { url, timeoutSeconds, signal } = this.#options;
    const response = await fetch(new URL(path, url), {
      ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        'content-type': 'application/json',
        // Each question finds its own way through load balancers, as a new client does.
        connection: 'close',
        ...(isOpen ? {} : { authorization: `Bearer ${this.#options.key}` }),
        ...headers,
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutSeconds * 1000)]),
    });
    if (!response.ok) throw new Failed(`${path} answered ${response.status}: ${saidIn(await response.text())}`);
    return response;
  }
}

const question = (model: string): object => ({
  model,
  messages: [{ role: 'user', content: 'Answer with one word.' }],
  max_tokens: 16,
});

const envelope = z.object({ error: z.object({ message: z.string() }) });

function saidIn(text: string): string {
  try {
    const parsed = envelope.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data.error.message.slice(0, 200);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return text.slice(0, 200) || 'nothing more';
}

const noteOf = (error: unknown): string =>
  error instanceof z.ZodError ? `an answer of another shape: ${z.prettifyError(error)}` : messageOf(error);
