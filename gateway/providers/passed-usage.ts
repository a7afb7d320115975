/**
 * What an answer that is passed on as it is says of its tokens, read beside it: of calls that models answer, and only when
 * the answer is whole. Everything else of a provider's raw API stays unread.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Usage } from '../domain/answer.ts';
import { readUsage as readAnthropic } from './anthropic/usage.ts';
import { type TokenCounts, toUsage } from './chat/usage.ts';
import { readUsage as readGemini } from './gemini/usage.ts';
import { isObject, listOf, objectOf, parseJson, textOf } from './json.ts';
import { readUsage as readResponses } from './native/responses-usage.ts';
import { readUsage as readOpenAI } from './openai-usage.ts';
import { EventReader, type ServerSentEvent } from './server-sent-events.ts';

export interface PassedUsage {
  /** As the provider calls it. */
  readonly model: string;
  readonly usage: Usage;
}

/** Reads one report; later ones of a stream may repeat only what has changed. */
type ReadReport = (report: unknown) => Usage | undefined;

/** By the end of the path. The same path by another method, or one below it, tells again what was billed before. */
const readers: readonly (readonly [RegExp, () => ReadReport])[] = [
  [/\/(completions|embeddings)$/, () => readOpenAI],
  [/\/responses$/, () => readResponses],
  [/\/messages$/, anthropicReader],
  [/:(stream)?generateContent$/i, () => (report) => usageOf(readGemini(report))],
];

function anthropicReader(): ReadReport {
  let counts: TokenCounts | undefined;
  return (report) => usageOf((counts = readAnthropic(report, counts)));
}

const usageOf = (counts: TokenCounts | undefined): Usage | undefined => counts && toUsage(counts);

/** A longer answer that is no stream is passed on unread. */
const longestWholeBytes = 1024 * 1024;

/** Reads one answer; knows nothing until its end. */
export class PassedUsageReader {
  readonly #read: ReadReport;
  #events: EventReader | undefined;
  #pieces: Buffer[] | undefined;
  #heldBytes = 0;
  #model: string | undefined;
  #usage: Usage | undefined;

  private constructor(read: ReadReport) {
    this.#read = read;
  }

  /** @param path of the target. @returns undefined for a call that no model answers. */
  static for(method: string, path: string): PassedUsageReader | undefined {
    if (method !== 'POST') return undefined;
    const [plain = ''] = path.split('?');
    const make = readers.find(([pattern]) => pattern.test(plain))?.[1];
    return make && new PassedUsageReader(make());
  }

  head(headers: IncomingHttpHeaders): void {
    const encoding = headers['content-encoding'];
    if (encoding !== undefined && encoding !== 'identity') return;
    const type = headers['content-type'] ?? '';
    if (type.startsWith('text/event-stream')) this.#events = new EventReader();
    else if (type.startsWith('application/json')) this.#pieces = [];
  }

  data(bytes: Buffer): void {
    if (this.#events !== undefined) {
      const events = this.#events.push(bytes);
      if (events === undefined) this.#events = undefined;
      else for (const event of events) this.#event(event);
    } else if (this.#pieces !== undefined) {
      this.#heldBytes += bytes.length;
      if (this.#heldBytes > longestWholeBytes) this.#pieces = undefined;
      else this.#pieces.push(bytes);
    }
  }

  /** The answer is whole. */
  end(): PassedUsage | undefined {
    const last = this.#events?.end();
    if (last !== undefined) this.#event(last);
    if (this.#pieces !== undefined) {
      const answer = parseJson(Buffer.concat(this.#pieces).toString());
      // Gemini streams a list of answers to who does not ask for events.
      for (const part of Array.isArray(answer) ? listOf(answer) : [answer]) this.#part(part);
    }
    return this.#model === undefined || this.#usage === undefined
      ? undefined
      : { model: this.#model, usage: this.#usage };
  }

  #event({ data }: ServerSentEvent): void {
    if (data.includes('"usage')) this.#part(parseJson(data));
  }

  /** A whole answer, a piece of one, or an event around it. */
  #part(part: unknown): void {
    if (!isObject(part)) return;
    const answer = objectOf(part['response'] ?? part['message'] ?? part);
    this.#model = textOf(answer['model'] ?? answer['modelVersion']) ?? this.#model;
    this.#usage = this.#read(answer['usage'] ?? answer['usageMetadata']) ?? this.#usage;
  }
}
