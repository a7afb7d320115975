/** How much more may be written down. Pure. */
import type { Pressure } from '../domain/spend.ts';

export interface Room {
  /** The disk refused what was last written to it. */
  readonly diskFault: boolean;
  /** Of the logs of this process. */
  readonly bytes: number;
  readonly maxBytes: number;
  /** Undefined = not known yet. */
  readonly freeBytes: number | undefined;
  readonly minFreeBytes: number;
}

export const softShare = 0.8;

export function pressureOf({ diskFault, bytes, maxBytes, freeBytes, minFreeBytes }: Room): Pressure {
  if (diskFault || bytes >= maxBytes) return 'hard';
  if (bytes >= maxBytes * softShare || (freeBytes ?? minFreeBytes) < minFreeBytes) return 'soft';
  return 'none';
}
