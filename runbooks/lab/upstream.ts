/** A provider that exists only here: speaks OpenAI's wire format, whole and streaming, and does what it is told. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface UpstreamRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Readonly<Record<string, unknown>>;
  /** As they came. */
  readonly bytes: Buffer;
}

export interface UpstreamOptions {
  /** Shown in answers, so that a person sees who answered. */
  readonly name: string;
  readonly port?: number;
  readonly host?: string;
  /** Between two chunks of a stream. */
  readonly chunkEveryMs?: number;
  /** Takes over a request; true when it has answered it (or left it hanging on purpose). */
  readonly intercept?: (request: UpstreamRequest, response: ServerResponse) => boolean | Promise<boolean>;
  /** Whether `requests` has them; true if not given. */
  readonly keepsRequests?: boolean;
  /** Told once per answer that was not taken over: what a provider would bill for it. */
  readonly onServed?: (served: ServedAnswer) => void;
}

/** What an answer cost the provider to make, whether or not the client took all of it. */
export interface ServedAnswer {
  readonly request: UpstreamRequest;
  readonly promptTokens: number;
  /** Of a stream that the client left: those made until then. */
  readonly completionTokens: number;
  /** The last byte was handed over to the operating system. */
  readonly complete: boolean;
}

export interface Upstream {
  /** Base address for `api_base`, with `/v1`. */
  readonly url: string;
  readonly port: number;
  /** Requests seen, oldest first. */
  readonly requests: readonly UpstreamRequest[];
  close(): Promise<void>;
}

export async function startUpstream(options: UpstreamOptions): Promise<Upstream> {
  const requests: UpstreamRequest[] = [];
  const server = createServer((incoming, response) => {
    void answer(incoming, response, options, requests).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  const host = options.host ?? '127.0.0.1';
  const port = await listen(server, options.port ?? 0, host);
  return {
    url: `http://${host}:${port}/v1`,
    port,
    requests,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  options: UpstreamOptions,
  requests: UpstreamRequest[],
): Promise<void> {
  const bytes = await readAll(incoming);
  const request: UpstreamRequest = {
    path: incoming.url ?? '/',
    headers: incoming.headers,
    body: incoming.headers['content-type']?.includes('json') === true ? parseObject(bytes) : {},
    bytes,
  };
  if (options.keepsRequests !== false) requests.push(request);
  if ((await options.intercept?.(request, response)) === true) return;
  // Azure puts its version behind the path.
  const [path = ''] = request.path.split('?');
  if (path.endsWith('/chat/completions')) await chat(request, response, options);
  else if (path.endsWith('/embeddings')) embeddings(request, response, options);
  else
    sendJson(response, 404, {
      error: { message: `no such path: ${request.path}`, type: 'invalid_request_error', param: null, code: null },
    });
}

/** An answer that a provider would give, before it is sent. */
export interface ChatAnswer {
  /** For a request without `stream`. */
  readonly whole: object;
  /** For one with it: whole events, the last one is `[DONE]`. */
  readonly events: readonly string[];
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** The same request always gets the same words. */
export function chatAnswer(request: UpstreamRequest, name: string): ChatAnswer {
  const { body } = request;
  const model = String(body['model']);
  const words = replyTo(body, name).split(/(?<= )/);
  const promptTokens = countWords(JSON.stringify(body['messages'] ?? ''));
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: words.length,
    total_tokens: promptTokens + words.length,
  };
  const id = `chatcmpl-${createHash('sha256').update(request.bytes).digest('hex').slice(0, 24)}`;
  const created = Math.floor(Date.now() / 1000);
  const streamOptions = body['stream_options'];
  const wantsUsage =
    typeof streamOptions === 'object' && streamOptions !== null && Reflect.get(streamOptions, 'include_usage') === true;
  const event = (choices: readonly unknown[], extra: object = wantsUsage ? { usage: null } : {}): string =>
    `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices, ...extra })}\n\n`;
  const delta = (content: object, finishReason: 'stop' | null = null): string =>
    event([{ index: 0, delta: content, finish_reason: finishReason }]);
  const message = { role: 'assistant', content: words.join(''), refusal: null };
  return {
    whole: {
      id,
      object: 'chat.completion',
      created,
      model,
      choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
      usage,
    },
    events: [
      delta({ role: 'assistant', content: '' }),
      ...words.map((word) => delta({ content: word })),
      delta({}, 'stop'),
      ...(wantsUsage ? [event([], { usage })] : []),
      'data: [DONE]\n\n',
    ],
    promptTokens,
    completionTokens: words.length,
  };
}

async function chat(request: UpstreamRequest, response: ServerResponse, options: UpstreamOptions): Promise<void> {
  const { whole, events, promptTokens, completionTokens } = chatAnswer(request, options.name);
  if (request.body['stream'] !== true) {
    sendJson(response, 200, whole);
    options.onServed?.({ request, promptTokens, completionTokens, complete: !response.destroyed });
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  let sent = 0;
  for (const event of events) {
    const isWord = sent > 0 && sent <= completionTokens;
    if (isWord && options.chunkEveryMs !== undefined) await sleep(options.chunkEveryMs);
    if (response.destroyed) break;
    response.write(event);
    sent++;
  }
  response.end();
  options.onServed?.({
    request,
    promptTokens,
    completionTokens: Math.max(0, Math.min(sent - 1, completionTokens)),
    complete: sent === events.length,
  });
}

/** The same text always has the same vector, of the length that was asked for. */
function embeddings(request: UpstreamRequest, response: ServerResponse, options: UpstreamOptions): void {
  const { input, model, dimensions, encoding_format: format } = request.body;
  const texts = Array.isArray(input) ? input : [input];
  const size = typeof dimensions === 'number' ? dimensions : 256;
  const data = texts.map((text, index) => {
    const vector = vectorOf(JSON.stringify(text), size);
    const embedding = format === 'base64' ? Buffer.from(Float32Array.from(vector).buffer).toString('base64') : vector;
    return { object: 'embedding', index, embedding };
  });
  const tokens = texts.reduce<number>((sum, text) => sum + countWords(JSON.stringify(text)), 0);
  sendJson(response, 200, { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } });
  options.onServed?.({ request, promptTokens: tokens, completionTokens: 0, complete: !response.destroyed });
}

function vectorOf(text: string, size: number): number[] {
  const values: number[] = [];
  for (let block = 0; values.length < size; block++) {
    const digest = createHash('sha256').update(`${block}:${text}`).digest();
    for (let at = 0; at < digest.length && values.length < size; at += 2) values.push(digest.readInt16LE(at) / 32_768);
  }
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

function replyTo(body: Readonly<Record<string, unknown>>, name: string): string {
  const messages: unknown = body['messages'];
  const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
  const content: unknown = typeof last === 'object' && last !== null ? Reflect.get(last, 'content') : undefined;
  const said = typeof content === 'string' ? content.slice(0, 200) : 'something';
  return `This is ${name}. You said: ${said}`;
}

const countWords = (text: string): number => Math.max(1, Math.ceil(text.length / 4));

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers });
  response.end(bytes);
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function parseObject(bytes: Buffer): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(bytes.toString());
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
