/** What a run has shown, as the checklist of the high-availability review reads it. Pure. */
import { type Evidence, type EvidenceKind, evidenceFileName } from '../../lib/platform/evidence.ts';
import type { RunbookId } from '../catalog.ts';
import type { Outcome } from '../engine/run.ts';

export interface EndedRun {
  readonly book: RunbookId;
  /** The one that was drilled; undefined = it was no drill. */
  readonly drilled?: string;
  readonly world: 'aws' | 'lab';
  readonly outcome: Outcome['is'];
  /** Whether the drill passed; undefined = it was no drill, or it has not ended. */
  readonly drillPassed?: boolean;
  /** Moment (ISO 8601, UTC). */
  readonly at: string;
  /** Where the full report is. */
  readonly source: string;
}

/** What a run that is complete proves. A switchover reads the writer's last row in the replica before it goes on. */
const proofs: Readonly<Partial<Record<string, readonly EvidenceKind[]>>> = {
  'backup-verify': ['restore'],
  'database-restore': ['restore'],
  'zone-evacuation': ['zone-loss'],
  'region-failover': ['region-drill'],
  'region-switchover': ['database-replication'],
};

/**
 * A run that began and did not get to its end has not passed; one that is resumed and does writes another report, and the
 * newest counts. What was refused shows nothing, except that backups cannot be used. The lab proves the book and no part of
 * AWS.
 */
export function evidenceOf({ book, drilled, world, outcome, drillPassed, at, source }: EndedRun): readonly Evidence[] {
  const kinds = proofs[drilled ?? book] ?? [];
  const shown = world === 'lab' ? kinds.filter((kind) => kind === 'region-drill') : kinds;
  if (outcome === 'refused' && book !== 'backup-verify') return [];
  const passed = outcome === 'completed' && drillPassed !== false;
  return shown.map((kind) => ({ kind, on: at, passed, source }));
}

/** Name and contents of a report's file. */
export const evidenceFile = (evidence: Evidence): { readonly name: string; readonly text: string } => ({
  name: evidenceFileName(evidence),
  text: `${JSON.stringify(evidence, null, 2)}\n`,
});
