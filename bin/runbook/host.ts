/** What the runbook commands need of the machine they run on: handed in, so that tests run the same commands. */

import type { Evidence } from '../../lib/platform/evidence.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { RegionCapacity } from '../../runbooks/books/region-world.ts';
import type { World } from '../../runbooks/books/world.ts';
import type { RunbookId } from '../../runbooks/catalog.ts';
import type { Journals } from '../../runbooks/engine/journal.ts';
import type { Clock } from '../../runbooks/engine/recorder.ts';
import type { ReadyCheck, RegionReadiness } from '../../runbooks/region/ready.ts';

export type WorldName = 'aws' | 'lab';
export type WorldUse = 'books' | 'looks';

export interface OpenedWorld {
  readonly world: World;
  /** Books whose every verb it has; undefined = all. */
  readonly books?: readonly RunbookId[];
  /** Why it has no part in a book, for those that it never will. */
  readonly refusals?: Readonly<Partial<Record<RunbookId, string>>>;
  /** Where gateways of its regions are reached, `name=url`, if not by the platform's names. */
  readonly addresses?: readonly string[];
  /** What it tells of a standby before it is needed, besides what every world tells. */
  readonly readiness?: (
    region: string,
    writer: string | undefined,
    signal: AbortSignal,
  ) => Promise<readonly ReadyCheck[]>;
  /** Pods that a region has while another one writes; absent = as many as the load of all clients needs. */
  readonly capacityInPeace?: RegionCapacity['read'];
  /** Puts readiness where the world's own alarms look; absent = it has none. */
  readonly publishReadiness?: (results: readonly RegionReadiness[], signal: AbortSignal) => Promise<void>;
  close(): Promise<void>;
}

export interface Terminal {
  /** A person watches: progress may be repainted, and questions be asked. */
  readonly isInteractive: boolean;
  readonly columns: number;
  write(text: string): void;
  writeError(text: string): void;
  /** @throws the signal's reason when it fires first. */
  ask(question: string, signal: AbortSignal): Promise<string>;
}

export interface JournalPlaces {
  /** Where a new run is kept. @param survivor region that outlives what the run is about; undefined = unknown. */
  forNewRun(place: string | undefined, world: WorldName, survivor: string | undefined): Promise<NamedJournals>;
  /** Where a run may be found, likeliest first. */
  toSearch(place: string | undefined): Promise<readonly NamedJournals[]>;
}

export interface NamedJournals {
  /** For people, and for `--journal`. */
  readonly name: string;
  readonly journals: Journals;
}

export interface Host {
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Who is at the keyboard. */
  readonly operator: string;
  /** Fires when the operator wants to stop. */
  readonly signal: AbortSignal;
  /** Undefined = the description is wrong, and its faults have been said. */
  platform(): Promise<Platform | undefined>;
  /** @param use `looks` needs no key and no way into databases: what only looks must not ask for rights to act. */
  openWorld(name: WorldName, use?: WorldUse): Promise<OpenedWorld>;
  readonly places: JournalPlaces;
  /** For the checklist of `npm run synth`. @returns where it lies. */
  keepEvidence(evidence: Evidence): Promise<string>;
  /** Begins with the time, so that ids sort by it. */
  newRunId(): string;
  newSession(): string;
}

/** The command line is wrong: exit code 2. */
export class UsageError extends Error {}
