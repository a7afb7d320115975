/** A stream of streamGenerateContent as chunks: whole parts of the answer, one event each, and no last word. https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { StreamDecoder, StreamPart } from '../adapter.ts';
import { type ChunkWriter, openChunks } from '../chat/chunks.ts';
import { oneEnding } from '../chat/one-ending.ts';
import { type TokenCounts, toUsage } from '../chat/usage.ts';
import { countOf, isObject, objectsOf, parseJson, textOf } from '../json.ts';
import { EventReader, type ServerSentEvent } from '../server-sent-events.ts';
import { brokenStream } from '../vendor-error.ts';
import { type CandidatePart, readCandidateParts } from './candidate.ts';
import { blocked, fromStream } from './errors.ts';
import { toFinishReason } from './finish-reason.ts';
import { toLogprobs } from './logprobs.ts';
import { readUsage } from './usage.ts';

export const decoder = (request: ModelRequest, deployment: Deployment): StreamDecoder =>
  oneEnding(new CandidateStream(request, deployment));

interface Choice {
  calls: number;
  /** The provider said why it stopped. */
  finished: boolean;
  reason: unknown;
}

class CandidateStream implements StreamDecoder {
  readonly #deployment: Deployment;
  readonly #reader = new EventReader();
  readonly #chunks: ChunkWriter;
  readonly #choices = new Map<number, Choice>();
  #id: string;
  #callCount = 0;
  #usage: TokenCounts | undefined;

  constructor(request: ModelRequest, deployment: Deployment) {
    this.#deployment = deployment;
    this.#id = `chatcmpl-${request.id}`;
    this.#chunks = openChunks(request, deployment);
  }

  push(bytes: Buffer): StreamPart[] {
    const events = this.#reader.push(bytes);
    return events === undefined
      ? this.#broken('one event is larger than 16 MiB')
      : events.flatMap((event) => this.#read(event));
  }

  /** The end of the connection is the end of the answer, if every candidate said why it stopped. */
  end(): StreamPart[] {
    const last = this.#reader.end();
    const parts = last === undefined ? [] : this.#read(last);
    const choices = [...this.#choices];
    if (choices.length === 0 || choices.some(([, choice]) => !choice.finished)) {
      return [...parts, ...this.#broken('the stream ended before its answer did')];
    }
    const finishes = choices.flatMap(([index, { reason, calls }]) =>
      this.#chunks.finish(toFinishReason(reason, calls > 0), index),
    );
    return [...parts, ...finishes, ...this.#chunks.end(this.#usage)];
  }

  #read(event: ServerSentEvent): StreamPart[] {
    const data = parseJson(event.data);
    if (!isObject(data)) return this.#broken('an event of the stream is not JSON');
    if (data['error'] !== undefined) return [{ is: 'error', error: fromStream(data['error'], this.#deployment) }];
    this.#id = textOf(data['responseId']) ?? this.#id;
    this.#chunks.name(textOf(data['responseId']), textOf(data['modelVersion']));
    // It counts what stands beside it, too.
    const usage = this.#onUsage(data['usageMetadata']);
    const candidates = objectsOf(data['candidates']);
    const refusal = candidates.length === 0 ? blocked(data['promptFeedback'], this.#deployment) : undefined;
    if (refusal !== undefined) return [...usage, { is: 'error', error: refusal }];
    return [...candidates.flatMap((candidate) => this.#onCandidate(candidate)), ...usage];
  }

  #onUsage(value: unknown): StreamPart[] {
    const usage = readUsage(value);
    if (usage === undefined) return [];
    this.#usage = usage;
    return [{ is: 'usage', usage: toUsage(usage) }];
  }

  #onCandidate(candidate: JsonObject): StreamPart[] {
    const index = countOf(candidate['index']);
    const choice = this.#choices.get(index) ?? { calls: 0, finished: false, reason: undefined };
    this.#choices.set(index, choice);
    const parts = readCandidateParts(candidate, () => `call_${this.#id}_${this.#callCount++}`);
    const logprobs = toLogprobs(candidate['logprobsResult']);
    const chunks = [
      ...parts.flatMap((part) => this.#onPart(part, index, choice)),
      // Of the whole piece: they belong to no single part of it.
      ...(logprobs === undefined ? [] : this.#chunks.text('', index, logprobs)),
    ];
    if (textOf(candidate['finishReason']) !== undefined) {
      choice.finished = true;
      choice.reason = candidate['finishReason'];
    }
    return chunks;
  }

  #onPart(part: CandidatePart, index: number, choice: Choice): StreamPart[] {
    switch (part.is) {
      case 'text':
        return this.#chunks.text(part.text, index);
      case 'thought':
        return this.#chunks.thinking({ type: 'thinking', thinking: part.text }, index);
      case 'call':
        return this.#chunks.callStart(choice.calls++, part.id, part.name, part.arguments, part.providerFields, index);
    }
  }

  #broken(message: string): StreamPart[] {
    return [{ is: 'error', error: brokenStream(message, this.#deployment) }];
  }
}
