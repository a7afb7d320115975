/** A stream of the Messages API as chunks. https://platform.claude.com/docs/en/build-with-claude/streaming */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { StreamDecoder, StreamPart } from '../adapter.ts';
import { type ChunkWriter, openChunks } from '../chat/chunks.ts';
import { oneEnding } from '../chat/one-ending.ts';
import { type TokenCounts, toUsage } from '../chat/usage.ts';
import { isObject, objectOf, parseJson, textOf } from '../json.ts';
import { EventReader, type ServerSentEvent } from '../server-sent-events.ts';
import { brokenStream } from '../vendor-error.ts';
import { fromStream } from './errors.ts';
import { toFinishReason } from './finish-reason.ts';
import { readUsage } from './usage.ts';

export const decoder = (request: ModelRequest, deployment: Deployment): StreamDecoder =>
  oneEnding(new MessageStream(request, deployment));

/** A call that is still being written. */
interface OpenCall {
  /** Its place among the calls of the answer; the provider counts all blocks. */
  readonly index: number;
  /** Arguments that came with the start of the block instead of in pieces. */
  readonly whole: string;
  started: boolean;
}

class MessageStream implements StreamDecoder {
  readonly #deployment: Deployment;
  readonly #reader = new EventReader();
  readonly #chunks: ChunkWriter;
  readonly #calls = new Map<unknown, OpenCall>();
  #callCount = 0;
  #usage: TokenCounts | undefined;
  /** The provider said why it stopped. */
  #stop:
    | { readonly reason: unknown; readonly sequence: string | undefined; readonly refusal: string | undefined }
    | undefined;

  constructor(request: ModelRequest, deployment: Deployment) {
    this.#deployment = deployment;
    this.#chunks = openChunks(request, deployment);
  }

  push(bytes: Buffer): StreamPart[] {
    const events = this.#reader.push(bytes);
    return events === undefined
      ? this.#broken('one event is larger than 16 MiB')
      : events.flatMap((event) => this.#read(event));
  }

  end(): StreamPart[] {
    const last = this.#reader.end();
    const parts = last === undefined ? [] : this.#read(last);
    // The reason for stopping is the answer's last word; only its seal may be missing.
    return [
      ...parts,
      ...(this.#stop === undefined ? this.#broken('the stream ended before its answer did') : this.#finish()),
    ];
  }

  #read(event: ServerSentEvent): StreamPart[] {
    const data = parseJson(event.data);
    if (!isObject(data)) return this.#broken('an event of the stream is not JSON');
    switch (data['type']) {
      case 'message_start':
        return this.#onStart(objectOf(data['message']));
      case 'content_block_start':
        return [...this.#chunks.begin(), ...this.#onBlockStart(data['index'], objectOf(data['content_block']))];
      case 'content_block_delta':
        return this.#onDelta(data['index'], objectOf(data['delta']));
      case 'content_block_stop':
        return this.#onBlockStop(data['index']);
      case 'message_delta':
        return this.#onMessageDelta(data);
      case 'message_stop':
        return this.#finish();
      case 'error':
        return [{ is: 'error', error: fromStream(data['error'], this.#deployment) }];
      default:
        // `ping`, and what may be added later.
        return [];
    }
  }

  #onStart(message: JsonObject): StreamPart[] {
    this.#chunks.name(textOf(message['id']), textOf(message['model']));
    // Nothing for the client yet: what fails before the answer itself may still be tried elsewhere.
    return this.#onUsage(message['usage']);
  }

  #onUsage(value: unknown): StreamPart[] {
    this.#usage = readUsage(value, this.#usage);
    return this.#usage === undefined || !isObject(value) ? [] : [{ is: 'usage', usage: toUsage(this.#usage) }];
  }

  #onBlockStart(index: unknown, block: JsonObject): StreamPart[] {
    switch (block['type']) {
      case 'text':
        return this.#chunks.text(textOf(block['text']) ?? '');
      case 'thinking':
        return this.#onThinking(textOf(block['thinking']), textOf(block['signature']));
      case 'redacted_thinking':
        return this.#chunks.thinking({ type: 'redacted_thinking', data: textOf(block['data']) ?? '' });
      case 'tool_use': {
        const input = isObject(block['input']) ? JSON.stringify(block['input']) : '{}';
        const call = { index: this.#callCount++, whole: input, started: false };
        this.#calls.set(index, call);
        return this.#chunks.callStart(call.index, textOf(block['id']) ?? '', textOf(block['name']) ?? '', '');
      }
      default:
        return [];
    }
  }

  #onDelta(index: unknown, delta: JsonObject): StreamPart[] {
    switch (delta['type']) {
      case 'text_delta':
        return this.#chunks.text(textOf(delta['text']) ?? '');
      case 'thinking_delta':
        return this.#onThinking(textOf(delta['thinking']), undefined);
      case 'signature_delta':
        return this.#onThinking(undefined, textOf(delta['signature']));
      case 'input_json_delta': {
        const json = textOf(delta['partial_json']);
        const call = this.#calls.get(index);
        // Input of the provider's own tools has no call here.
        if (call === undefined || json === undefined) return [];
        call.started = true;
        return this.#chunks.callArguments(call.index, json);
      }
      default:
        return [];
    }
  }

  #onThinking(text: string | undefined, signature: string | undefined): StreamPart[] {
    if (text === undefined && signature === undefined) return [];
    return this.#chunks.thinking({
      type: 'thinking',
      thinking: text ?? '',
      ...(signature === undefined ? {} : { signature }),
    });
  }

  /** A call without arguments sends none; OpenAI's clients expect a JSON object. */
  #onBlockStop(index: unknown): StreamPart[] {
    const call = this.#calls.get(index);
    if (call === undefined || call.started) return [];
    call.started = true;
    return this.#chunks.callArguments(call.index, call.whole);
  }

  #onMessageDelta(data: JsonObject): StreamPart[] {
    const delta = objectOf(data['delta']);
    const reason = textOf(delta['stop_reason']);
    if (reason !== undefined) {
      const refusal = textOf(objectOf(delta['stop_details'])['explanation']);
      this.#stop = { reason, sequence: textOf(delta['stop_sequence']), refusal };
    }
    return this.#onUsage(data['usage']);
  }

  #finish(): StreamPart[] {
    const refusal = this.#stop?.refusal;
    return [
      ...(refusal === undefined ? [] : this.#chunks.refusal(refusal)),
      ...this.#chunks.finish(toFinishReason(this.#stop?.reason), 0, this.#stop?.sequence),
      ...this.#chunks.end(this.#usage),
    ];
  }

  #broken(message: string): StreamPart[] {
    return [{ is: 'error', error: brokenStream(message, this.#deployment) }];
  }
}
