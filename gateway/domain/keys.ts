/** Virtual keys: how one is made, and who can be asked about it. The key itself is nowhere but in its owner's hands. */
import { hash, randomBytes } from 'node:crypto';
import type { ResolvedKey } from './resolve-key.ts';

/** 256 random bits in LiteLLM's form. */
export const newKey = (): string => `sk-${randomBytes(32).toString('base64url')}`;

/** SHA-256 of the whole key, hex, as LiteLLM stores it. */
export const hashKey = (key: string): string => hash('sha256', key);

/** `sk-...wxyz`: enough to recognize a key, too little to use it. */
export const masked = (key: string): string => (key.length < 12 ? 'sk-...' : `sk-...${key.slice(-4)}`);

export interface KeyDirectory {
  /**
   * What is known of a key, undefined for an unknown one. Answers at once for keys seen before, and with the same object
   * until something that the key rests on changes.
   * @throws StoreUnavailable when the key is not known here and the database cannot be asked.
   */
  find(keyHash: string): ResolvedKey | undefined | Promise<ResolvedKey | undefined>;
}

/** The database cannot be asked: neither yes nor no can be said. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super('the database cannot be reached', { cause });
    this.name = 'StoreUnavailable';
  }
}

/**
 * Why changes are not taken here: the database is a replica; another region or epoch writes; the right to write has run out;
 * a failover would lose them, being farther behind than may be lost.
 */
export type NotWriterReason = 'replica' | 'another-epoch' | 'lease-over' | 'beyond-rpo';

/** This region takes no changes now; nothing was changed. */
export class NotWriter extends StoreUnavailable {
  readonly reason: NotWriterReason;
  constructor(reason: NotWriterReason, cause?: unknown) {
    super(cause);
    this.name = 'NotWriter';
    this.reason = reason;
  }
}

/** The change may stand or not: the connection broke in the moment of the commit, or the commit outlived the right to write. */
export class OutcomeUnknown extends Error {
  constructor(cause: unknown) {
    super('it is not known whether a change was committed in time', { cause });
    this.name = 'OutcomeUnknown';
  }
}
