/** Records of a segment: u32 length, u32 crc32, text in UTF-8; little endian. Pure. */
import { crc32 } from 'node:zlib';

export const headBytes = 8;
/** Longer ones are no records: a length that was cut or overwritten must not be believed. */
export const longestRecordBytes = 1024 * 1024;

/**
 * Puts a record into `buffer`.
 * @returns the place behind it, or 0 when the buffer is too small for the text.
 */
export function encodeRecord(buffer: Buffer, text: string, at = 0): number {
  const start = at + headBytes;
  // A UTF-16 unit takes at most three bytes.
  if (start + text.length * 3 > buffer.length && start + Buffer.byteLength(text) > buffer.length) return 0;
  const length = buffer.write(text, start);
  buffer.writeUInt32LE(length, at);
  buffer.writeUInt32LE(crc32(buffer.subarray(start, start + length)), at + 4);
  return start + length;
}

/**
 * Reads up to the end, or to the first record that is cut or damaged.
 * @returns the number of bytes that were good; what follows them is not to be believed.
 */
export function decodeRecords(bytes: Buffer, take: (text: string) => void): number {
  let at = 0;
  while (at + headBytes <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    const end = at + headBytes + length;
    if (length === 0 || length > longestRecordBytes || end > bytes.length) break;
    const payload = bytes.subarray(at + headBytes, end);
    if (crc32(payload) !== bytes.readUInt32LE(at + 4)) break;
    take(payload.toString());
    at = end;
  }
  return at;
}
