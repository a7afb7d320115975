/** What somebody saw and wrote down: proof for lines of the checklist that no template can show. */
import { z } from 'zod';

export const evidenceKinds = [
  'zone-loss',
  'health-checks',
  'database-replication',
  'dns-failover',
  'restore',
  'region-drill',
] as const;

export type EvidenceKind = (typeof evidenceKinds)[number];

/** One report, as `.holdfast/evidence/*.json` keeps it. A drill or a backup's verification writes it, or a person does. */
export const evidenceSchema = z.strictObject({
  kind: z.enum(evidenceKinds),
  /** Day on which it was seen. */
  on: z.iso.date(),
  passed: z.boolean(),
  /** Where the full report is: a file, a run's id, an address. */
  source: z.string().min(1),
});

export type Evidence = z.output<typeof evidenceSchema>;

/** The newest report of a kind, whatever it says: a failed drill is not outweighed by an older one that passed. */
export const newestOf = (evidence: readonly Evidence[], kind: EvidenceKind): Evidence | undefined =>
  evidence
    .filter((each) => each.kind === kind)
    .toSorted((left, right) => right.on.localeCompare(left.on))
    .at(0);

const dayMs = 86_400_000;

/** Whole days from one date to another. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(to) - Date.parse(from)) / dayMs);
