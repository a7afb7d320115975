/** A stream of ConverseStream as chunks. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { StreamDecoder, StreamPart } from '../adapter.ts';
import { type ChunkWriter, openChunks } from '../chat/chunks.ts';
import { oneEnding } from '../chat/one-ending.ts';
import { type TokenCounts, toUsage } from '../chat/usage.ts';
import { isObject, objectOf, textOf } from '../json.ts';
import { brokenStream } from '../vendor-error.ts';
import { fromStream } from './errors.ts';
import { toFinishReason } from './finish-reason.ts';
import { type Frame, FrameReader } from './frames.ts';
import { readUsage } from './usage.ts';

export const decoder = (request: ModelRequest, deployment: Deployment): StreamDecoder =>
  oneEnding(new ConverseEvents(request, deployment));

/** A call that is still being written. */
interface OpenCall {
  /** Its place among the calls of the answer; the provider counts all blocks. */
  readonly index: number;
  started: boolean;
}

class ConverseEvents implements StreamDecoder {
  readonly #deployment: Deployment;
  readonly #reader = new FrameReader();
  readonly #chunks: ChunkWriter;
  readonly #calls = new Map<unknown, OpenCall>();
  #callCount = 0;
  #usage: TokenCounts | undefined;
  #stop: { readonly reason: unknown } | undefined;

  constructor(request: ModelRequest, deployment: Deployment) {
    this.#deployment = deployment;
    this.#chunks = openChunks(request, deployment);
  }

  push(bytes: Buffer): StreamPart[] {
    const { frames, fault } = this.#reader.push(bytes);
    const parts = frames.flatMap((frame) => this.#read(frame));
    return fault === undefined ? parts : [...parts, ...this.#broken(fault)];
  }

  end(): StreamPart[] {
    // The reason for stopping is the answer's last word; only the token counts may be missing.
    if (this.#stop !== undefined && !this.#reader.isMidFrame) return this.#finish(this.#stop.reason);
    return this.#broken('the stream ended before its answer did');
  }

  #read({ headers, payload }: Frame): StreamPart[] {
    const messageType = headers.get(':message-type');
    if (messageType === 'exception' || messageType === 'error') {
      const type = headers.get(':exception-type') ?? headers.get(':error-code') ?? '';
      const said = Object.keys(payload).length > 0 ? payload : headers.get(':error-message');
      return [{ is: 'error', error: fromStream(type, said, this.#deployment) }];
    }
    switch (headers.get(':event-type') ?? '') {
      case 'contentBlockStart':
        return this.#onStart(payload['contentBlockIndex'], objectOf(payload['start']));
      case 'contentBlockDelta':
        return this.#onDelta(payload['contentBlockIndex'], objectOf(payload['delta']));
      case 'contentBlockStop':
        return this.#onStop(payload['contentBlockIndex']);
      case 'messageStop':
        this.#stop = { reason: payload['stopReason'] };
        return this.#usage === undefined ? [] : this.#finish(payload['stopReason']);
      case 'metadata':
        return this.#onMetadata(payload);
      default:
        // `messageStart` too: what fails before the answer itself may still be tried elsewhere.
        return [];
    }
  }

  #onStart(index: unknown, start: JsonObject): StreamPart[] {
    const { toolUse } = start;
    if (!isObject(toolUse) || toolUse['type'] === 'server_tool_use') return [];
    const call = { index: this.#callCount++, started: false };
    this.#calls.set(index, call);
    return this.#chunks.callStart(call.index, textOf(toolUse['toolUseId']) ?? '', textOf(toolUse['name']) ?? '', '');
  }

  #onDelta(index: unknown, delta: JsonObject): StreamPart[] {
    const text = textOf(delta['text']);
    if (text !== undefined) return this.#chunks.text(text);
    if (isObject(delta['reasoningContent'])) return this.#onReasoning(delta['reasoningContent']);
    const input = textOf(objectOf(delta['toolUse'])['input']);
    const call = this.#calls.get(index);
    if (call === undefined || input === undefined) return [];
    call.started = true;
    return this.#chunks.callArguments(call.index, input);
  }

  #onReasoning(content: JsonObject): StreamPart[] {
    const redacted = textOf(content['redactedContent']);
    if (redacted !== undefined) return this.#chunks.thinking({ type: 'redacted_thinking', data: redacted });
    const text = textOf(content['text']);
    const signature = textOf(content['signature']);
    if (text === undefined && signature === undefined) return [];
    const signed = signature === undefined ? {} : { signature };
    return this.#chunks.thinking({ type: 'thinking', thinking: text ?? '', ...signed });
  }

  /** A call without arguments sends none; OpenAI's clients expect a JSON object. */
  #onStop(index: unknown): StreamPart[] {
    const call = this.#calls.get(index);
    if (call === undefined || call.started) return [];
    call.started = true;
    return this.#chunks.callArguments(call.index, '{}');
  }

  /** The last event. */
  #onMetadata(payload: JsonObject): StreamPart[] {
    this.#usage = readUsage(payload['usage']) ?? this.#usage;
    if (this.#stop !== undefined) return this.#finish(this.#stop.reason);
    return this.#usage === undefined ? [] : [{ is: 'usage', usage: toUsage(this.#usage) }];
  }

  #finish(reason: unknown): StreamPart[] {
    return [...this.#chunks.finish(toFinishReason(reason)), ...this.#chunks.end(this.#usage)];
  }

  #broken(message: string): StreamPart[] {
    return [{ is: 'error', error: brokenStream(message, this.#deployment) }];
  }
}
