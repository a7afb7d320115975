/** Two regions that exist only here: what the books do to them, and how often. Crashes are the engine's affair. */
import type { Claim, RegionRow } from '../../../gateway/region/claim.ts';
import { raised } from '../../../gateway/region/claim.ts';
import { type ClaimBucket, ClaimStore } from '../../../gateway/region/claim-store.ts';
import type { Finding } from '../../../runbooks/books/finding.ts';
import type { DatabaseStatus, RegionDatabase, RegionWorld } from '../../../runbooks/books/region-world.ts';

export class MemoryBucket implements ClaimBucket {
  readonly name: string;
  claim: Claim | undefined;
  away = false;
  #version = 0;

  constructor(name: string) {
    this.name = name;
  }

  async read() {
    if (this.away) throw new Error('unreachable');
    return { claim: this.claim, etag: this.claim === undefined ? undefined : String(this.#version) };
  }

  async swap(etag: string | undefined, claim: Claim): Promise<boolean> {
    if (this.away) throw new Error('unreachable');
    if (etag !== (this.claim === undefined ? undefined : String(this.#version))) return false;
    this.claim = claim;
    this.#version++;
    return true;
  }
}

export class MemoryDatabase implements RegionDatabase {
  role: DatabaseStatus['role'];
  row: RegionRow = { epoch: 1, writer: 'a', state: 'open' };
  away = false;
  promotions = 0;
  /** A replica shows its source's row. */
  source: MemoryDatabase | undefined;
  lagSeconds = 1;
  #looksUntilPromoted = 0;

  constructor(role: DatabaseStatus['role'], source?: MemoryDatabase) {
    this.role = role;
    this.source = source;
  }

  async view(): Promise<DatabaseStatus> {
    this.#reach();
    if (this.role === 'being-promoted' && this.#looksUntilPromoted-- <= 0) this.role = 'primary';
    if (this.role === 'replica' && this.source?.away === false) this.row = this.source.row;
    return { role: this.role, row: this.row, lagSeconds: this.role === 'replica' ? this.lagSeconds : 0 };
  }

  async promote(): Promise<void> {
    this.#reach();
    this.promotions++;
    if (this.role !== 'replica') throw new Error('promoted twice');
    this.role = 'being-promoted';
    this.#looksUntilPromoted = 3;
  }

  async close(): Promise<void> {
    this.#reach();
    this.row = { ...this.row, state: 'closed' };
  }

  async raise(epoch: number, writer: string): Promise<void> {
    this.#reach();
    this.row = raised(this.row, epoch, writer);
  }

  #reach(): void {
    if (this.away) throw new Error('unreachable');
  }
}

const firstClaim: Claim = {
  epoch: 1,
  writer: 'a',
  phase: 'held',
  run: null,
  candidates: ['b'],
  sequence: 0,
  ttlSeconds: 15,
};

export class TwoRegions implements RegionWorld {
  readonly buckets: readonly MemoryBucket[];
  readonly claims: ClaimStore;
  readonly databases: Readonly<Record<string, MemoryDatabase>>;
  readonly takeovers = new Map<string, string>();
  readonly pods = new Map([['b', { ready: 3, needed: 3 }]]);
  /** Seconds of each wait, in order. */
  readonly waits: number[] = [];

  /** @param buckets one or three; region a holds the claim. */
  constructor(buckets = 1) {
    this.buckets = Array.from({ length: buckets }, (_, index) => new MemoryBucket(`claims-${index}`));
    this.claims = new ClaimStore(this.buckets);
    const a = new MemoryDatabase('primary');
    this.databases = { a, b: new MemoryDatabase('replica', a) };
    for (const bucket of this.buckets) bucket.claim = firstClaim;
  }

  /** Region a is gone. */
  static async withoutA(buckets = 1): Promise<TwoRegions> {
    const world = new TwoRegions(buckets);
    world.database('a').away = true;
    return world;
  }

  database(region: string): MemoryDatabase {
    const database = this.databases[region];
    if (database === undefined) throw new Error(`there is no region ${region}`);
    return database;
  }

  readonly traffic = {
    takeover: async (region: string) => this.takeovers.get(region),
    takeOver: async (region: string, runId: string) => void this.takeovers.set(region, runId),
    giveBack: async (region: string) => void this.takeovers.delete(region),
  };

  readonly capacity = {
    read: async (region: string) => this.pods.get(region) ?? { ready: 0, needed: 0 },
    raise: async (region: string, to: number) => void this.pods.set(region, { ready: to, needed: to }),
  };

  async verify(region: string, write: boolean): Promise<readonly Finding[]> {
    const { role, row } = this.database(region);
    const claim = this.buckets[0]?.claim;
    const isWriter = role === 'primary' && row.writer === region && claim?.writer === region && claim.phase === 'held';
    const completion: Finding = { check: 'completion', is: 'ok', note: 'it answered', seconds: 0 };
    if (!write) return [completion];
    return [
      completion,
      { check: 'write', is: isWriter ? 'ok' : 'failed', note: isWriter ? '' : 'writes are refused', seconds: 0 },
    ];
  }

  async wait(seconds: number): Promise<void> {
    this.waits.push(seconds);
  }
}
