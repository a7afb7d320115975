/** Could a standby take over now? Compared with the writer's region, each doubt with its reason. Pure. */
import { standbyMetrics } from '../../lib/platform/names.ts';
import type { RegionPage } from './page.ts';

export interface ReadyLimits {
  readonly maxLagSeconds: number;
}

export interface ReadyInput {
  readonly standby: RegionPage | { readonly because: string };
  /** The writer's region may be the one that is gone: then what depends on it is not compared. */
  readonly writer: RegionPage | { readonly because: string };
  readonly capacity: { readonly ready: number; readonly needed: number } | { readonly because: string };
  readonly isCandidate: boolean;
}

export interface ReadyCheck {
  readonly check:
    | 'answers'
    | 'version'
    | 'schema'
    | 'config'
    | 'database'
    | 'lag'
    | 'candidate'
    | 'capacity'
    | 'secrets'
    | 'backups'
    | 'certificate'
    | 'image'
    | 'quotas';
  readonly is: 'ok' | 'failed' | 'unknown';
  readonly note: string;
}

export function readyChecks({ standby, writer, capacity, isCandidate }: ReadyInput, limits: ReadyLimits): ReadyCheck[] {
  const candidate: ReadyCheck = isCandidate
    ? { check: 'candidate', is: 'ok', note: 'the claim names it' }
    : { check: 'candidate', is: 'failed', note: 'the claim does not name it: spend does not wait for its replica' };
  const room = capacityCheck(capacity);
  if ('because' in standby) return [{ check: 'answers', is: 'failed', note: standby.because }, candidate, room];
  return [
    { check: 'answers', is: standby.status === 'healthy' ? 'ok' : 'failed', note: standby.status },
    sameCheck('version', standby, writer, ({ version }) => version),
    sameCheck('schema', standby, writer, ({ schemaVersion }) => schemaVersion),
    sameCheck('config', standby, writer, ({ configVersion }) => configVersion),
    { check: 'database', is: standby.database === 'connected' ? 'ok' : 'failed', note: standby.database },
    lagCheck(standby, limits),
    candidate,
    room,
  ];
}

/** What both regions must have alike: a standby that is behind serves with what the writer had before. */
function sameCheck(
  check: 'version' | 'schema' | 'config',
  standby: RegionPage,
  writer: ReadyInput['writer'],
  of: (page: RegionPage) => string | number | undefined,
): ReadyCheck {
  const here = of(standby);
  if (here === undefined) return { check, is: 'unknown', note: 'it does not say' };
  const there = 'because' in writer ? undefined : of(writer);
  if (there === undefined)
    return { check, is: 'unknown', note: `${here}; the writer does not answer, or does not say` };
  return here === there
    ? { check, is: 'ok', note: String(here) }
    : { check, is: 'failed', note: `${here}, the writer has ${there}` };
}

function lagCheck({ replayLagSeconds: lag }: RegionPage, { maxLagSeconds }: ReadyLimits): ReadyCheck {
  if (lag === undefined) return { check: 'lag', is: 'unknown', note: 'it does not say' };
  return lag <= maxLagSeconds
    ? { check: 'lag', is: 'ok', note: `${lag} s` }
    : { check: 'lag', is: 'failed', note: `${lag} s, the objective for data loss is ${maxLagSeconds} s` };
}

function capacityCheck(capacity: ReadyInput['capacity']): ReadyCheck {
  if ('because' in capacity) return { check: 'capacity', is: 'unknown', note: capacity.because };
  const { ready, needed } = capacity;
  return { check: 'capacity', is: ready >= needed ? 'ok' : 'failed', note: `${ready} of ${needed} pods are ready` };
}

/** Of one standby. */
export interface RegionReadiness {
  readonly region: string;
  readonly checks: readonly ReadyCheck[];
}

/**
 * As Prometheus reads it from a file or an address. What is not known is not ready.
 * @param writes region that was looked at and writes now: that somebody looks is told of it, too
 */
export function readyMetrics(results: readonly RegionReadiness[], writes: string | undefined, at: Date): string {
  const looked = [...results.map(({ region }) => region), ...(writes === undefined ? [] : [writes])];
  const seconds = Math.floor(at.getTime() / 1000);
  const lines = results.flatMap(({ region, checks }) =>
    checks.map(
      ({ check, is }) => `${standbyMetrics.ready}{region="${region}",check="${check}"} ${is === 'ok' ? 1 : 0}`,
    ),
  );
  return [
    `# HELP ${standbyMetrics.ready} 1 when this would not keep the region from taking over.`,
    `# TYPE ${standbyMetrics.ready} gauge`,
    ...lines,
    `# HELP ${standbyMetrics.checkedAt} When somebody looked last, also at a region that writes.`,
    `# TYPE ${standbyMetrics.checkedAt} gauge`,
    ...looked.map((region) => `${standbyMetrics.checkedAt}{region="${region}"} ${seconds}`),
    '',
  ].join('\n');
}
