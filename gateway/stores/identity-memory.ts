/** The mirror of identity in this process: bounded, and never older than what it has seen. No I/O. */
import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { idOf, type Kind, kinds, memberId, type Records } from '../domain/identity.ts';
import type { AccessGroups } from '../domain/model-access.ts';
import { type Belongings, type ResolvedKey, resolveKey } from '../domain/resolve-key.ts';

/** How many of each kind are kept; the least used go first, and are asked for again when they are needed. */
const capacity: { readonly [K in Kind]: number } = {
  budget: 20_000,
  organization: 20_000,
  user: 100_000,
  team: 50_000,
  member: 100_000,
  endUser: 100_000,
  key: 100_000,
};

/** A key as memory knows it. `incomplete`: something it refers to is not here. */
export type Lookup = ResolvedKey | 'ended' | 'unknown' | 'incomplete';

interface Resolution {
  readonly resolved: ResolvedKey;
  /** The very records it was made from. */
  readonly parts: readonly unknown[];
  /** When it was last seen to be current. */
  generation: number;
}

export type Content = { readonly [K in Kind]: readonly Records[K][] };

export class IdentityMemory {
  #groups: AccessGroups;
  readonly #records: { readonly [K in Kind]: LRUCache<string, Records[K]> };
  /** By the record itself, so that it goes with the record. */
  #resolutions = new WeakMap<Records['key'], Resolution>();
  /** Kinds of which everything that exists is here: what is missing does not exist. */
  readonly #whole = new Set<Kind>();
  /** Keys that were shut out past their row, and the revision from which on the row says so itself; undefined = not yet. */
  readonly #denied = new Map<string, number | undefined>();
  /** Counts changes of anything that keys rest on. */
  #generation = 0;

  constructor(groups: AccessGroups) {
    this.#groups = groups;
    const memory = <K extends Kind>(kind: K): LRUCache<string, Records[K]> =>
      new LRUCache({
        max: capacity[kind],
        dispose: (_record, _id, reason) => {
          if (reason === 'evict') this.#whole.delete(kind);
        },
      });
    this.#records = {
      budget: memory('budget'),
      organization: memory('organization'),
      user: memory('user'),
      team: memory('team'),
      member: memory('member'),
      endUser: memory('endUser'),
      key: memory('key'),
    };
  }

  /** From now on lists of models are read with these groups. */
  useGroups(groups: AccessGroups): void {
    if (isDeepStrictEqual(groups, this.#groups)) return;
    this.#groups = groups;
    this.#resolutions = new WeakMap();
  }

  /** Everything that there was fitted in. */
  declareWhole(kind: Kind): void {
    if (this.#records[kind].size < capacity[kind]) this.#whole.add(kind);
  }

  isWhole(kind: Kind): boolean {
    return this.#whole.has(kind);
  }

  /** An older row, or one that is known, changes nothing, however late it arrives. @returns whether this one did. */
  learn<K extends Kind>(kind: K, record: Records[K]): boolean {
    const memory = this.#records[kind];
    const id = idOf[kind](record);
    const known = memory.get(id);
    if (known !== undefined && known.revision >= record.revision) return false;
    memory.set(id, kind === 'key' && this.#denied.size > 0 ? this.#underDenial(id, record) : record);
    if (kind !== 'key' && kind !== 'endUser') this.#generation++;
    return true;
  }

  /**
   * Refuses a key whatever its row says, until a row of `appliedRevision` or later is here. A row of an older revision,
   * as a replica that lags has it, changes nothing.
   * @param appliedRevision undefined = no row says so yet.
   */
  deny(keyHash: string, appliedRevision: number | undefined): void {
    const known = this.#records.key.get(keyHash);
    if (appliedRevision !== undefined && known !== undefined && known.revision >= appliedRevision) {
      this.#denied.delete(keyHash);
      return;
    }
    this.#denied.set(keyHash, appliedRevision);
    if (known !== undefined) this.#records.key.set(keyHash, { ...known, blocked: true });
  }

  /** All secrets in force here of the key that this one is of. */
  secretsOf(keyHash: string): string[] {
    const known = this.#records.key.get(keyHash);
    if (known === undefined) return [keyHash];
    return [...this.#records.key.values()].filter(({ keyId }) => keyId === known.keyId).map((key) => key.keyHash);
  }

  #underDenial<Record extends { readonly revision: number }>(keyHash: string, record: Record): Record {
    if (!this.#denied.has(keyHash)) return record;
    const appliedRevision = this.#denied.get(keyHash);
    if (appliedRevision === undefined || record.revision < appliedRevision) return { ...record, blocked: true };
    this.#denied.delete(keyHash);
    return record;
  }

  /** That there is no such member: the key is of a team, and its user is not in it. */
  learnNoMember(teamId: string, userId: string): void {
    const id = memberId(teamId, userId);
    if (this.#records.member.has(id)) return;
    this.#records.member.set(id, { revision: 0, deleted: true, teamId, userId, role: 'user', limits: {} });
  }

  get<K extends Kind>(kind: K, id: string): Records[K] | undefined {
    return this.#records[kind].get(id);
  }

  /** In the ordinary case two look-ups and a comparison. */
  lookup(keyHash: string): Lookup {
    const key = this.#records.key.get(keyHash);
    if (key === undefined) return 'unknown';
    if (key.deleted) return 'ended';
    const known = this.#resolutions.get(key);
    if (known?.generation === this.#generation) return known.resolved;
    const parts = this.#partsOf(key);
    if (parts === undefined) return 'incomplete';
    if (known !== undefined && known.parts.every((part, index) => part === parts.list[index])) {
      known.generation = this.#generation;
      return known.resolved;
    }
    const resolved = resolveKey(key, parts, this.#groups);
    this.#resolutions.set(key, { resolved, parts: parts.list, generation: this.#generation });
    return resolved;
  }

  /** What a key rests on; undefined when some of it is not here. */
  #partsOf(key: Records['key']): (Belongings & { readonly list: readonly unknown[] }) | undefined {
    const parts = {
      team: this.#referred('team', key.teamId),
      // With a team the user's own budget and models do not count, but its end does.
      user: this.#referred('user', key.userId),
      member: this.#referred(
        'member',
        key.teamId === undefined || key.userId === undefined ? undefined : memberId(key.teamId, key.userId),
      ),
    };
    if (parts.team === missing || parts.user === missing || parts.member === missing) return undefined;
    const { team, user, member } = parts;
    const organization = this.#referred('organization', key.organizationId ?? team?.organizationId);
    if (organization === missing) return undefined;
    const budgets = new Map<string, Records['budget'] | undefined>();
    for (const holder of [key, team, user, member, organization]) {
      if (holder?.budgetId === undefined) continue;
      const budget = this.#referred('budget', holder.budgetId);
      if (budget === missing) return undefined;
      budgets.set(holder.budgetId, budget);
    }
    return {
      team,
      user,
      member,
      organization,
      budget: (id) => (id === undefined ? undefined : budgets.get(id)),
      list: [team, user, member, organization, ...budgets.values()],
    };
  }

  #referred<K extends Kind>(kind: K, id: string | undefined): Records[K] | undefined | typeof missing {
    if (id === undefined) return undefined;
    return this.#records[kind].get(id) ?? (this.#whole.has(kind) ? undefined : missing);
  }

  /** Everything but who was shut out: that outlives the rows. */
  forget(): void {
    for (const kind of kinds) this.#records[kind].clear();
    this.#whole.clear();
    this.#generation++;
  }

  /** What a restart without a database would need. */
  content(): Content {
    return {
      budget: [...this.#records.budget.values()],
      organization: [...this.#records.organization.values()],
      user: [...this.#records.user.values()],
      team: [...this.#records.team.values()],
      member: [...this.#records.member.values()],
      endUser: [...this.#records.endUser.values()],
      key: [...this.#records.key.values()],
    };
  }

  /** Takes over what an earlier process knew; least used last, as `content` has it. */
  restore(content: Content, whole: readonly Kind[]): void {
    for (const kind of kinds) {
      for (const record of content[kind].toReversed()) this.learn<Kind>(kind, record);
    }
    for (const kind of whole) this.declareWhole(kind);
  }
}

const missing = 'missing';
