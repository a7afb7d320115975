/** Virtual keys: what is known of one, and who can be asked. The key itself is nowhere but in its owner's hands. */

import { hash, randomBytes } from 'node:crypto';

/** 256 random bits in LiteLLM's form. */
export const newKey = (): string => `sk-${randomBytes(32).toString('base64url')}`;

/** SHA-256 of the whole key, hex, as LiteLLM stores it. */
export const hashKey = (key: string): string => hash('sha256', key);

/** `sk-...wxyz`: enough to recognize a key, too little to use it. */
export const masked = (key: string): string => (key.length < 12 ? 'sk-...' : `sk-...${key.slice(-4)}`);

export interface KeyRecord {
  /** SHA-256 of the key, hex: LiteLLM's `token`. */
  readonly keyHash: string;
  readonly keyAlias: string | undefined;
  readonly role: 'admin' | 'caller';
  /** Model groups; empty = all. */
  readonly models: readonly string[];
  readonly blocked: boolean;
  /** Wall clock, milliseconds; undefined = never. */
  readonly expiresAtMs: number | undefined;
}

/** A key as it is made. */
export interface NewKey {
  readonly keyHash: string;
  /** Masked form for people. */
  readonly keyName: string;
  readonly keyAlias?: string;
  readonly role: 'admin' | 'caller';
  readonly models: readonly string[];
  readonly expiresAtMs?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly createdBy: string;
}

export interface KeyDirectory {
  /**
   * The record of a key, undefined for an unknown one. Answers at once for keys seen before.
   * @throws StoreUnavailable when the key is not known here and the database cannot be asked.
   */
  find(keyHash: string): KeyRecord | undefined | Promise<KeyRecord | undefined>;
}

/** Changes to keys. Every method throws StoreUnavailable when the database cannot be reached; then nothing was changed. */
export interface KeyAdministration {
  /** @returns false when the alias or the key exists already. */
  insert(key: NewKey): Promise<boolean>;
  /** Ends keys here at once and in other processes within seconds. @returns the hashes that existed. */
  remove(keyHashes: readonly string[]): Promise<string[]>;
}

/** The database cannot be asked: neither yes nor no can be said. */
export class StoreUnavailable extends Error {
  constructor(cause: unknown) {
    super('the key store cannot be reached', { cause });
    this.name = 'StoreUnavailable';
  }
}
