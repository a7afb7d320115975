/** Readiness in one word for each region, and when that word changes: a log has a line for each change and none for each look. Pure. */
import type { ReadyCheck, RegionReadiness } from './ready.ts';

export interface VerdictChange {
  readonly region: string;
  readonly is: 'ready' | 'not-ready' | 'writes';
  /** Checks that are not well, with what was found; empty = none. */
  readonly doubts: readonly ReadyCheck[];
}

/** By region: the verdict, and which checks are not well. What a check has measured is no change. */
export type Verdicts = ReadonlyMap<string, string>;

/** @param writes region that was looked at and writes now: it has nothing to take over. */
export function verdictChanges(
  before: Verdicts,
  results: readonly RegionReadiness[],
  writes: string | undefined,
): { readonly verdicts: Verdicts; readonly changes: readonly VerdictChange[] } {
  const now = [
    ...(writes === undefined ? [] : [{ region: writes, is: 'writes', doubts: [] } as const]),
    ...results.map(({ region, checks }): VerdictChange => {
      const doubts = checks.filter(({ is }) => is !== 'ok');
      return { region, is: doubts.length === 0 ? 'ready' : 'not-ready', doubts };
    }),
  ];
  return {
    verdicts: new Map(now.map((one) => [one.region, wordOf(one)])),
    changes: now.filter((one) => before.get(one.region) !== wordOf(one)),
  };
}

const wordOf = ({ is, doubts }: VerdictChange): string =>
  [is, ...doubts.map(({ check, is: how }) => `${check} ${how}`)].join(', ');

/** One line of JSON, with the names that the gateways' own lines have. */
export function verdictLine({ region, is, doubts }: VerdictChange, at: Date): string {
  const words = {
    ready: `${region} could take over`,
    'not-ready': `${region} could not take over: ${doubts.map(({ check }) => check).join(', ')}`,
    writes: `${region} writes: it has nothing to take over`,
  };
  const level = is === 'not-ready' ? 'warn' : 'info';
  return JSON.stringify({ level, time: at.getTime(), region, is, doubts, msg: words[is] });
}
