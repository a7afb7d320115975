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

export interface ConfigAdministration {
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
