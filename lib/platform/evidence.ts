/**
 * What somebody saw and wrote down: proof for lines of the checklist that no template can show. Drills and verifications of
 * backups write it, or a person does; `npm run synth` reads it.
 */
import { z } from 'zod';

/** What a report is about. A run in the lab touches nothing of AWS: it is a report of `region-drill`, and of nothing else. */
export const evidenceKinds = [
  /** A zone was taken out, and clients went on. */
  'zone-loss',
  /** An unhealthy gateway left the load balancer, and came back. */
  'health-checks',
  /** Rows of the writer were read in the replica. */
  'database-replication',
  /** The platform's name led to another region. */
  'dns-failover',
  /** A database was restored from a backup and read. */
  'restore',
  /** The failover book was run against a region. */
  'region-drill',
] as const;

export type EvidenceKind = (typeof evidenceKinds)[number];

/** Where reports lie, from the root of the project: one JSON file each. */
export const evidenceFolder = '.holdfast/evidence';

/** A report older than a quarter says nothing about today. */
export const evidenceDays = 100;

/** One report. */
export const evidenceSchema = z.strictObject({
  kind: z.enum(evidenceKinds),
  /** When it was seen: a day, or a moment (UTC), by which reports of one day are put in order. */
  on: z.union([z.iso.date(), z.iso.datetime()]),
  passed: z.boolean(),
  /** Where the full report is: a file, a run's id, an address. */
  source: z.string().min(1),
});

export type Evidence = z.output<typeof evidenceSchema>;

/** Name of a report's file: `2026-11-21T18-40-00Z-restore.json`. */
export const evidenceFileName = ({ on, kind }: Pick<Evidence, 'on' | 'kind'>): string =>
  `${on.replaceAll(':', '-')}-${kind}.json`;

/**
 * The newest report of a kind, whatever it says: a failed drill is not outweighed by an older one that passed. Of two that
 * cannot be put in order, the one that failed.
 */
export const newestOf = (evidence: readonly Evidence[], kind: EvidenceKind): Evidence | undefined =>
  evidence
    .filter((each) => each.kind === kind)
    .toSorted((left, right) => Date.parse(right.on) - Date.parse(left.on) || Number(left.passed) - Number(right.passed))
    .at(0);

/** The day of a report. */
export const dayOf = ({ on }: Pick<Evidence, 'on'>): string => on.slice(0, 10);

const dayMs = 86_400_000;

/** Whole days from one day to another. */
export const daysBetween = (from: string, to: string): number =>
  Math.round((Date.parse(to) - Date.parse(from)) / dayMs);
