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

/** The database is a replica: it answers questions and takes no changes. */
export class StoreIsReplica extends StoreUnavailable {
  constructor(cause: unknown) {
    super(cause);
    this.name = 'StoreIsReplica';
  }
}

/** The connection broke in the moment of the commit: the change may stand or not. */
export class OutcomeUnknown extends Error {
  constructor(cause: unknown) {
    super('the connection to the database broke while a change was committed', { cause });
    this.name = 'OutcomeUnknown';
  }
}
