/** Reads a stream through a decoder, and says what came out in words that can be compared. */
import type { Usage } from '../../../../gateway/domain/answer.ts';
import type { UpstreamError } from '../../../../gateway/domain/errors.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import type { StreamDecoder, StreamPart } from '../../../../gateway/providers/adapter.ts';

export interface Decoded {
  /** All bytes for the client. */
  readonly text: string;
  /** The chunks in them, without `[DONE]`. */
  readonly chunks: readonly JsonObject[];
  readonly usages: readonly Usage[];
  /** Every ending there was; a correct decoder has one. */
  readonly endings: readonly string[];
  readonly error: UpstreamError | undefined;
}

export const feed = (decoder: StreamDecoder, pieces: readonly Buffer[]): StreamPart[] => [
  ...pieces.flatMap((piece) => decoder.push(piece)),
  ...decoder.end(),
];

export function summarize(parts: readonly StreamPart[]): Decoded {
  const text = parts.map((part) => (part.is === 'chunk' ? part.bytes.toString() : '')).join('');
  const errors = parts.flatMap((part) => (part.is === 'error' ? [part.error] : []));
  return {
    text,
    chunks: text
      .split('\n\n')
      .filter((event) => event !== '' && event !== 'data: [DONE]')
      .map((event): JsonObject => JSON.parse(event.replace(/^data: /, ''))),
    usages: parts.flatMap((part) => (part.is === 'usage' ? [part.usage] : [])),
    endings: parts.flatMap((part) =>
      part.is === 'end'
        ? ['end']
        : part.is === 'error'
          ? [`${part.error.kind} ${part.error.status} ${part.error.message}`]
          : [],
    ),
    error: errors[0],
  };
}

export const decodeWhole = (decoder: StreamDecoder, bytes: Buffer): Decoded => summarize(feed(decoder, [bytes]));
