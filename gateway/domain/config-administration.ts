/** What administrators ask of the live configuration: what is it, where does it come from, and another one, please. */

/** A config that was live once, or is. */
export interface ConfigVersionFacts {
  readonly version: bigint;
  readonly sha256: string;
  /** An address without credentials, `push`, or `rollback to N`. */
  readonly source: string;
  readonly createdBy: string;
  readonly createdAt: Date;
}

/** What the configuration of this process stands on. */
export interface ConfigStanding {
  readonly processId: string;
  /** False: each process watches its source by itself. */
  readonly isElected: boolean;
  readonly role: 'leader' | 'follower' | 'unknown' | 'alone';
  readonly leader: string | undefined;
  readonly epoch: bigint | undefined;
  readonly leaseRemainingMs: number | undefined;
  /** Undefined when it came straight from its source. */
  readonly version: bigint | undefined;
  readonly sha256: string;
  readonly source: string;
  /** Why the newest was not taken. */
  readonly fault: string | undefined;
}

export interface ConfigAdministration {
  standing(): ConfigStanding;
  /** Takes over now what is new in the database. */
  look(): Promise<void>;
  /** In the names that LiteLLM's tools know, and ours beside them. */
  status(): object;
  /** What it is like afterwards. @param force takes the source's text also when it was taken before. */
  reload(force: boolean): Promise<object>;
  /** Newest first. */
  history(limit: number): Promise<readonly ConfigVersionFacts[]>;
  /** @throws NotNow, or Unusable for a version that does not exist. */
  textOf(version: bigint): Promise<string>;
  rollback(version: bigint, by: string): Promise<ConfigVersionFacts>;
  push(text: string, by: string): Promise<ConfigVersionFacts>;
}

/** What was asked for cannot become the configuration; the message says why. */
export class Unusable extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Unusable';
  }
}

/** It cannot be done at the moment, or not in this installation. */
export class NotNow extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'NotNow';
  }
}
