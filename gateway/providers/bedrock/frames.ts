/**
 * Cuts bytes into messages of AWS's binary event stream: lengths and their checksum, headers, payload, checksum.
 * https://smithy.io/2.0/aws/amazon-eventstream.html
 */
import { crc32 } from 'node:zlib';
import { EventStreamCodec } from '@smithy/eventstream-codec';
import type { JsonObject } from '../../domain/request.ts';
import { objectOf, parseJson } from '../json.ts';

export interface Frame {
  /** Headers that are text, by name. */
  readonly headers: ReadonlyMap<string, string>;
  /** The payload, if it is JSON. */
  readonly payload: JsonObject;
}

const preludeBytes = 12;
const leastFrameBytes = 16;
/** AWS allows 16 MiB of payload and 128 KiB of headers. */
const largestFrameBytes = 24 * 1024 * 1024;

const codec = new EventStreamCodec(
  (bytes) =>
    typeof bytes === 'string' ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
  (text) => Buffer.from(text),
);

/** Reads one stream; holds what has arrived of an unfinished frame. */
export class FrameReader {
  #pieces: Buffer[] = [];
  #held = 0;
  /** Of the frame that is arriving, once its lengths are known. */
  #wanted: number | undefined;

  /** Whether bytes of an unfinished frame are held. */
  get isMidFrame(): boolean {
    return this.#held > 0;
  }

  /** @returns the frames that are complete now and, last, what is wrong with the bytes after them. */
  push(bytes: Buffer): { readonly frames: readonly Frame[]; readonly fault?: string } {
    const frames: Frame[] = [];
    this.#pieces.push(bytes);
    this.#held += bytes.length;
    for (;;) {
      if (this.#wanted === undefined) {
        if (this.#held < preludeBytes) return { frames };
        const wanted = frameBytes(this.#joined());
        if (typeof wanted === 'string') return { frames, fault: wanted };
        this.#wanted = wanted;
      }
      if (this.#held < this.#wanted) return { frames };
      const frame = decode(this.#take(this.#wanted));
      if (frame === undefined) return { frames, fault: 'a frame of the stream is damaged' };
      frames.push(frame);
      this.#wanted = undefined;
    }
  }

  #joined(): Buffer {
    const [first = Buffer.alloc(0)] = this.#pieces;
    const all = this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces);
    this.#pieces = [all];
    return all;
  }

  #take(length: number): Buffer {
    const all = this.#joined();
    const rest = all.subarray(length);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
    return all.subarray(0, length);
  }
}

/** Checked before anything is kept: a wrong length could ask for gigabytes. @returns what is wrong, or the length. */
function frameBytes(bytes: Buffer): number | string {
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) return 'a frame of the stream is damaged';
  const length = bytes.readUInt32BE(0);
  if (length > largestFrameBytes) return 'a frame of the stream is larger than 24 MiB';
  return length < leastFrameBytes ? 'a frame of the stream is damaged' : length;
}

/** @returns undefined when a checksum or a header is wrong. */
function decode(frame: Buffer): Frame | undefined {
  try {
    const { headers, body } = codec.decode(frame);
    const texts = Object.entries(headers).flatMap(([name, header]): [string, string][] =>
      header.type === 'string' ? [[name, header.value]] : [],
    );
    return { headers: new Map(texts), payload: objectOf(parseJson(Buffer.from(body).toString())) };
  } catch {
    // The codec throws several classes of errors, and all mean that these bytes are no frame.
    return undefined;
  }
}
