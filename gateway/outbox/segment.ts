/** Segments: the files of a log, numbered from 1. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRecords } from './record.ts';
import { readRecordText } from './record-text.ts';

export interface Segment {
  readonly number: number;
  /** Of its first end. */
  readonly firstSeq: number;
  /** Of its last end; one less than `firstSeq` when it has none. */
  readonly lastSeq: number;
  readonly bytes: number;
}

export const segmentPath = (directory: string, number: number): string =>
  join(directory, `${String(number).padStart(6, '0')}.seg`);

export interface SegmentContent extends Segment {
  /** Texts of the ends, in order. */
  readonly ends: readonly string[];
  /** Texts of the begins that no end followed in this segment, by request. */
  readonly begins: ReadonlyMap<string, string>;
  /** Requests that ended. */
  readonly ended: readonly string[];
  /** Bytes behind the last good record. */
  readonly tornBytes: number;
}

/** @returns undefined for a file that does not even begin as a segment does: nothing in it was ever acknowledged. */
export async function readSegment(directory: string, number: number): Promise<SegmentContent | undefined> {
  return segmentContent(number, await readFile(segmentPath(directory, number)));
}

/** @returns undefined for what does not even begin as a segment does. */
export function segmentContent(number: number, bytes: Buffer): SegmentContent | undefined {
  const ends: string[] = [];
  const ended: string[] = [];
  const begins = new Map<string, string>();
  let firstSeq: number | undefined;
  const good = decodeRecords(bytes, (text) => {
    const record = readRecordText(text);
    if (record?.is === 'segment') {
      firstSeq ??= record.firstSeq;
    } else if (record?.is === 'begin') {
      begins.set(record.id, text);
    } else if (record?.is === 'end') {
      begins.delete(record.id);
      ends.push(text);
      ended.push(record.id);
    }
  });
  if (firstSeq === undefined) return undefined;
  const tornBytes = bytes.length - good;
  return { number, firstSeq, lastSeq: firstSeq + ends.length - 1, bytes: good, ends, begins, ended, tornBytes };
}

export async function segmentNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names
    .flatMap((name) => /^(\d{6,})\.seg$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}
