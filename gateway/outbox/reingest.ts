/**
 * Spend from the archive into a ledger that lacks it, after a restore from a backup. What the ledger has is passed over by
 * its position in each log, so it may be repeated, and run while gateways ship.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpendLedger } from '../domain/spend.ts';
import { wholeName } from './archive.ts';
import { eventsOf, readDeadLog } from './dead-log.ts';
import { segmentPath } from './segment.ts';
import { Shipping, type ShippingEvents } from './shipping.ts';

/** What lies in an archive. */
export interface ArchiveSource {
  /** In order; those of one log stand together. */
  names(): AsyncIterable<string>;
  get(name: string): Promise<Uint8Array | undefined>;
}

export interface Reingested {
  readonly logs: number;
  /** Events that the ledger did not have. */
  readonly events: number;
  /** Of them: requests that were running when their process died. */
  readonly interrupted: number;
  /** Events that neither ledger nor archive have. */
  readonly missing: number;
  /** Logs that the archive has no end of: they go on elsewhere, or their end is on a disk that was lost. */
  readonly unfinished: readonly string[];
}

const segmentPattern = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/(\d{6,})\.seg$/;

/**
 * @param signal ends it between two logs.
 * @throws when archive or ledger cannot be asked; what was shipped stays shipped.
 */
export async function reingest(
  source: ArchiveSource,
  ledger: SpendLedger,
  onLog: (logId: string, events: number) => void,
  signal?: AbortSignal,
): Promise<Reingested> {
  const sum = { logs: 0, events: 0, interrupted: 0, missing: 0 };
  const unfinished: string[] = [];
  for await (const log of logsOf(source)) {
    signal?.throwIfAborted();
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-reingest-'));
    try {
      const one = await reingestLog(source, ledger, log, directory);
      sum.logs++;
      sum.events += one.events;
      sum.interrupted += one.interrupted;
      sum.missing += one.missing;
      if (!one.isWhole) unfinished.push(log.id);
      onLog(log.id, one.events);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  return { ...sum, unfinished };
}

interface ArchivedLog {
  readonly id: string;
  readonly segments: readonly number[];
}

async function* logsOf(source: ArchiveSource): AsyncGenerator<ArchivedLog> {
  let id: string | undefined;
  let segments: number[] = [];
  for await (const name of source.names()) {
    const [, logId, number] = segmentPattern.exec(name) ?? [];
    if (logId === undefined) continue;
    if (logId !== id && id !== undefined) yield { id, segments };
    if (logId !== id) segments = [];
    id = logId;
    segments.push(Number(number));
  }
  if (id !== undefined) yield { id, segments };
}

async function reingestLog(
  source: ArchiveSource,
  ledger: SpendLedger,
  { id, segments }: ArchivedLog,
  directory: string,
): Promise<Omit<Reingested, 'logs' | 'unfinished'> & { readonly isWhole: boolean }> {
  const { appliedSeq = 0, closed = false } = (await ledger.positions([id])).get(id) ?? {};
  const whole = await wholeOf(source, id);
  if (whole !== undefined && appliedSeq >= whole.lastSeq) {
    if (!closed) await ledger.close(id, whole.lastSeq);
    return { events: 0, interrupted: 0, missing: 0, isWhole: true };
  }
  for (const number of segments) {
    const name = `${id}/${String(number).padStart(6, '0')}.seg`;
    const bytes = await source.get(name);
    if (bytes !== undefined) await writeFile(segmentPath(directory, number), bytes, { mode: 0o600 });
  }
  const isWhole = whole !== undefined;
  const log = await readDeadLog(directory);
  // Of a log that goes on elsewhere, nobody knows here how what it began has ended.
  const events = eventsOf(id, directory, isWhole ? log : { ...log, begins: [] }, appliedSeq);
  let missing = 0;
  const told: ShippingEvents = { onReduced: () => undefined, onLost: (_log, count) => void (missing += count) };
  const shipping = new Shipping(events, ledger, appliedSeq, told);
  while (!shipping.isDone) await shipping.step();
  if (isWhole) await ledger.close(id, events.lastSeq);
  const shipped = Math.max(0, events.lastSeq - appliedSeq);
  return { events: shipped - missing, interrupted: shipped > 0 && isWhole ? log.begins.length : 0, missing, isWhole };
}

/** @returns undefined for a log that goes on elsewhere, or whose end was lost with its disk. */
async function wholeOf(source: ArchiveSource, id: string): Promise<{ readonly lastSeq: number } | undefined> {
  const bytes = await source.get(wholeName(id));
  if (bytes === undefined) return undefined;
  const whole: unknown = JSON.parse(Buffer.from(bytes).toString());
  const lastSeq = typeof whole === 'object' && whole !== null ? Number(Reflect.get(whole, 'lastSeq')) : Number.NaN;
  if (!Number.isSafeInteger(lastSeq)) throw new Error(`${wholeName(id)} in the archive cannot be read`);
  return { lastSeq };
}
