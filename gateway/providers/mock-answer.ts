/** `mock_response` as an answer in OpenAI's format, or as the failure that it names. */
import type { Answer, ChunkConsumer, ChunkSource, StreamAnswer, WholeAnswer } from '../domain/answer.ts';
import { exceptionClass, Refusal, UpstreamError, type UpstreamErrorKind } from '../domain/errors.ts';
import type { JsonObject, ModelRequest } from '../domain/request.ts';
import { createdAt } from './chat/completion.ts';
import { isObject, objectOf, objectsOf, printBody } from './json.ts';

/** LiteLLM's numbers; shown in the answer and not booked. */
const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 };
const statuses: Readonly<Record<UpstreamErrorKind, number>> = {
  authentication: 401,
  'bad-request': 400,
  'content-policy': 400,
  'context-window': 400,
  'not-found': 404,
  'rate-limit': 429,
  timeout: 408,
  unavailable: 500,
};
const kindOfClass: ReadonlyMap<string, UpstreamErrorKind> = new Map(
  Object.keys(statuses)
    .filter((kind): kind is UpstreamErrorKind => kind in statuses)
    .map((kind) => [`litellm.${exceptionClass[kind]}`, kind]),
);
const breaksInTheMiddle = 'Exception: mock_streaming_error';

export const mockFailure = (kind: UpstreamErrorKind, message: string, status = statuses[kind]): UpstreamError =>
  new UpstreamError({ kind, status, provider: 'gateway', message });

/**
 * @param content the value of `mock_response`.
 * @throws UpstreamError when it names one; Refusal 400 when this operation cannot be answered by it.
 */
export function mockAnswer(content: unknown, request: ModelRequest): Answer {
  if (typeof content === 'string') {
    const kind = kindOfClass.get(content);
    if (kind !== undefined) throw mockFailure(kind, `this is a mock ${exceptionClass[kind]}`);
    if (content.startsWith('Exception: content_filter_policy')) throw mockFailure('content-policy', content);
  }
  const { operation, stream, model } = request;
  const created = createdAt(request);
  if (operation === 'chat' && (typeof content === 'string' || isObject(content))) {
    const completion: JsonObject = {
      id: `chatcmpl-${request.id}`,
      object: 'chat.completion',
      created,
      model,
      ...(isObject(content) ? content : { choices: choicesOf(content, request.body['n']), usage }),
    };
    return stream ? streamed(completion, request, content === breaksInTheMiddle) : whole(completion);
  }
  if (operation === 'embeddings' && Array.isArray(content)) {
    const { input } = request.body;
    const inputs = Array.isArray(input) && typeof input[0] !== 'number' ? input.length : 1;
    const data = Array.from({ length: inputs }, (_, index) => ({ object: 'embedding', index, embedding: content }));
    return whole({ object: 'list', model, data, usage });
  }
  if (operation !== 'chat' && isObject(content)) return whole(content);
  const expected = { chat: 'a text or a chat.completion', embeddings: 'a vector or an answer' };
  throw new Refusal({
    status: 400,
    type: 'invalid_request_error',
    param: 'mock_response',
    message: `mock_response must be ${operation === 'chat' || operation === 'embeddings' ? expected[operation] : 'an answer'} in the form that ${operation} has`,
  });
}

function choicesOf(text: string, n: unknown): readonly JsonObject[] {
  const count = Number.isSafeInteger(n) ? Math.min(Math.max(Number(n), 1), mostChoices) : 1;
  return Array.from({ length: count }, (_, index) => ({
    index,
    message: { role: 'assistant', content: text },
    finish_reason: 'stop',
  }));
}

/** Of OpenAI's API. */
const mostChoices = 128;

const whole = (body: JsonObject): WholeAnswer => ({
  kind: 'whole',
  status: 200,
  contentType: 'application/json',
  body: printBody(body),
  usage: undefined,
  mocked: true,
});

function streamed(completion: JsonObject, request: ModelRequest, breaks: boolean): StreamAnswer {
  const chunk = (choices: readonly JsonObject[], more: JsonObject = {}): string =>
    `data: ${JSON.stringify({ ...completion, object: 'chat.completion.chunk', usage: undefined, choices, ...more })}\n\n`;
  const choices = objectsOf(completion['choices']).map((choice, position) => {
    const { message, ...rest } = choice;
    return { ...rest, index: choice['index'] ?? position, message: objectOf(message) };
  });
  const events = choices.flatMap(({ message, index, ...rest }) => {
    const { role = 'assistant', content, ...more } = message;
    const delta = (members: JsonObject): string => chunk([{ index, delta: members, finish_reason: null }]);
    const calls = objectsOf(more['tool_calls']).map((call, at) => ({ index: at, ...call }));
    return [
      delta({ role, content: '', ...more, ...(calls.length === 0 ? {} : { tool_calls: calls }) }),
      ...(typeof content === 'string' ? words(content).map((word) => delta({ content: word })) : []),
      chunk([{ finish_reason: 'stop', ...rest, index, delta: {} }]),
    ];
  });
  if (objectOf(request.body['stream_options'])['include_usage'] === true) {
    events.push(chunk([], { usage: completion['usage'] ?? usage }));
  }
  const failure = breaks
    ? mockFailure('unavailable', 'this is a mock error in the middle of a stream', 529)
    : undefined;
  const bytes = (breaks ? events.slice(0, 2) : [...events, 'data: [DONE]\n\n']).map((event) => Buffer.from(event));
  const contentType = 'text/event-stream; charset=utf-8';
  return { kind: 'stream', contentType, chunks: new PreparedChunks(bytes, failure), mocked: true };
}

const words = (text: string): readonly string[] => text.match(/\s*\S+\s*|\s+/g) ?? [];

/** A stream that is there before it is asked for. It is as large as the request that stated it, so it never pauses. */
class PreparedChunks implements ChunkSource {
  readonly #events: readonly Buffer[];
  readonly #failure: Error | undefined;
  #over = false;

  constructor(events: readonly Buffer[], failure: Error | undefined) {
    this.#events = events;
    this.#failure = failure;
  }

  start(consumer: ChunkConsumer): void {
    for (const event of this.#events) if (!this.#over) consumer.chunk(event);
    if (this.#over) return;
    this.#over = true;
    if (this.#failure === undefined) consumer.finished();
    else consumer.broken(this.#failure);
  }

  pause(): void {}

  resume(): void {}

  abort(): void {
    this.#over = true;
  }

  usage(): undefined {
    return undefined;
  }

  unreportedTokens(): number {
    return 0;
  }
}
