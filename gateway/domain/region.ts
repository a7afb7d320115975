/** Regions, as far as the edges need to know of them. */

export type Standing =
  /** Control-plane writes are taken here. */
  | 'writer'
  /** They are not, though the claim or the row names this region: the lease is over, or the epoch is closed. */
  | 'fenced'
  /** Another region writes; control-plane writes are forwarded to it. */
  | 'standby'
  /** A promoted database whose row still names another region: it takes nothing until a run raises it. */
  | 'promoted'
  /** Neither claim nor database could be read. */
  | 'unknown';

export interface RegionState {
  readonly standing: Standing;
  /** The highest that was ever seen, here or by a peer: it is never taken back. */
  readonly epoch: number;
  readonly writer: string | undefined;
  /** Undefined while the claim of this epoch was not read. */
  readonly phase: 'held' | 'seized' | undefined;
  /** Null when it never ends. */
  readonly leaseRemainingMs: number | null;
  readonly replayLagMs: number;
  /** Replicas that a failover may promote; undefined where there is no claim. */
  readonly candidates: readonly string[] | undefined;
  readonly ttlSeconds: number;
  /** What could not be read, and why. */
  readonly faults: readonly string[];
}

/** A request as it goes on to another region, and what came back. */
export interface PassedOn {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

export interface RegionAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Where a change of the control plane goes. */
export type WriteRoute =
  /** The database has the last word. */
  | { readonly is: 'here' }
  | { readonly is: 'there'; readonly region: string }
  /** Nowhere, at the moment; nothing was changed. */
  | {
      readonly is: 'nowhere';
      readonly type: 'not_writer' | 'writer_fenced' | 'writer_unreachable';
      readonly because: string;
    };

/** The writer region could not be asked. */
export class WriterUnreachable extends Error {
  /** Whether the request may have arrived all the same. */
  readonly mayHaveArrived: boolean;
  constructor(message: string, mayHaveArrived: boolean, cause?: unknown) {
    super(message, { cause });
    this.name = 'WriterUnreachable';
    this.mayHaveArrived = mayHaveArrived;
  }
}

/** This process among the regions. */
export interface RegionDesk {
  readonly region: string;
  readonly state: RegionState;
  /** How far each candidate is behind, milliseconds; empty outside of the writer region. */
  readonly candidateLagsMs: ReadonlyMap<string, number>;
  /** @param forwarded it comes from another region already: it goes no further. */
  writeRoute(forwarded: boolean): WriteRoute;
  /** Looks at claim and database now. */
  look(): Promise<void>;
  /** @throws WriterUnreachable */
  passOn(region: string, request: PassedOn, timeoutMs: number): Promise<RegionAnswer>;
  /** What another region asks. Undefined = it is not signed by one of ours. */
  answer(
    call: string,
    path: string,
    headers: Readonly<Record<string, string | readonly string[] | undefined>>,
    body: Buffer,
  ): Promise<RegionAnswer | undefined>;
  /** Refuses a key here from now on, and tells the others as soon as they can be reached. Resolves when it is on disk. */
  deny(keyHash: string, actor: string): Promise<void>;
}
