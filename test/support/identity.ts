/** Stores of identity as a process has them: a memory and connections of its own. */
import { hashKey, masked } from '../../gateway/domain/keys.ts';
import type { Actor, NewRow, RowKind, Rows } from '../../gateway/domain/management.ts';
import type { AccessGroups } from '../../gateway/domain/model-access.ts';
import { ControlPlane } from '../../gateway/stores/control-plane.ts';
import { IdentityStore } from '../../gateway/stores/identity.ts';
import { openPool, type Pool } from '../../gateway/stores/postgres.ts';

export const testActor: Actor = { name: 'test', keyHash: 'f'.repeat(64), userId: undefined };

export interface TestStore {
  readonly pool: Pool;
  readonly store: IdentityStore;
  readonly plane: ControlPlane;
  /** Questions to the database so far. */
  readonly asked: () => number;
  readonly insert: <K extends RowKind>(kind: K, values: NewRow<K>) => Promise<Rows[K]>;
}

export function openTestStore(url: string, groups?: AccessGroups, poolSize = 2): TestStore {
  const pool = openPool({ url, poolSize, onError: () => undefined });
  let asked = 0;
  pool.on('acquire', () => asked++);
  const store = new IdentityStore(pool, groups);
  const plane = new ControlPlane(pool, store);
  return {
    pool,
    store,
    plane,
    asked: () => asked,
    insert: async (kind, values) => {
      let row: Rows[typeof kind] | undefined;
      await plane.write(testActor, async (writer) => {
        row = await writer.insert(kind, values);
        return {};
      });
      if (row === undefined) throw new Error(`this ${kind} exists already`);
      return row;
    },
  };
}

export const keyRow = (secret: string, over: NewRow<'key'> = {}): NewRow<'key'> => ({
  keyHash: hashKey(secret),
  keyName: masked(secret),
  ...over,
});
