/** Everything that books need, existing only here: effects take a few looks to show, and nothing may be asked for twice. */
import type { RestorableKind, RestoreRequest, RestoreWay } from '../../../runbooks/books/backup-world.ts';
import type { Vitals } from '../../../runbooks/books/canary-world.ts';
import type { CredentialState } from '../../../runbooks/books/credential-rotation.ts';
import type { DrillConditions, Drilling, DrillMeasurements, FaultState } from '../../../runbooks/books/drill.ts';
import type { GlobalCache } from '../../../runbooks/books/region-world.ts';
import type { ReleasePart } from '../../../runbooks/books/release.ts';
import type { UpgradeComponent } from '../../../runbooks/books/upgrade.ts';
import type { World } from '../../../runbooks/books/world.ts';
import type { PlacedStore } from '../../../runbooks/books/zone-evacuation.ts';
import { TwoRegions } from './two-regions.ts';

/** Looks until an effect that takes time is there. */
const looks = 2;

const everyWay: readonly RestoreWay[] = ['snapshot', 'point-in-time', 'dump'];

type Growing = 'absent' | 'creating' | 'ready';
const begunAnew = { absent: 'none', creating: 'some', ready: 'all' } as const;

const partName = ({ region, zone }: ReleasePart): string => (zone === undefined ? region : `${region}/${zone}`);

export class SimulatedWorld extends TwoRegions implements World {
  /** How often each act was asked for. */
  readonly acts = new Map<string, number>();
  /** Things that grow, and the looks they still take. */
  readonly #growing = new Map<string, number>();
  shareOfA: number | undefined;
  /** What the gateways count, by region. */
  vitalsNow: Vitals = { requests: 1_000, errors: 1, addedLatencyMs: 5 };
  readonly shifts = new Set<string>();
  readonly placed: Record<PlacedStore, string> = { database: 'a1', cache: 'a1' };
  override readonly pods = new Map([
    ['a', { ready: 3, needed: 3 }],
    ['b', { ready: 2, needed: 3 }],
  ]);
  usedDatabase = 'the-old-one';
  missing = 12;
  restoredEpoch = 1;
  vaultSnapshot: string | undefined;
  servicesReady = 0;
  credential: CredentialState = { current: 'v1', pending: undefined, accepted: ['v1'], used: ['v1'] };
  readonly images = new Map<string, string>();
  schemaThere = '0001';
  readonly versions = new Map([
    ['database/a', '18.4'],
    ['database/b', '18.4'],
  ]);
  obstaclesFound: readonly string[] = [];
  backupAges: Partial<Record<RestorableKind, number>> = {};
  keysInBackup = 40;
  isLoaded = false;
  readonly broken = new Set<string>();
  drillConditions: DrillConditions = {
    alerts: [],
    unfinishedRuns: [],
    lagSeconds: 1,
    isInWindow: true,
    backupVerifiedDaysAgo: 3,
  };
  measured: DrillMeasurements = {
    requests: 9_000,
    errorPercent: 0.2,
    retriedPercent: 1,
    addedLatencyMs: 12,
    troubleSeconds: 1,
    servingGapSeconds: 3,
    writeGapSeconds: 12,
    dataLossSeconds: 1,
    acknowledgedWrites: 100,
    lostWrites: 0,
    lostWritesList: '',
    spendEventsLost: 0,
    spendEventsDoubled: 0,
    invariantViolations: null,
    violationsList: '',
    epochHistory: '',
  };

  /** The state after a failover from a to b: b writes, a is back and fenced. */
  static failedOver(): SimulatedWorld {
    const world = new SimulatedWorld();
    const a = world.database('a');
    const b = world.database('b');
    b.role = 'primary';
    b.row = { epoch: 2, writer: 'b', state: 'open' };
    b.source = undefined;
    a.row = { epoch: 1, writer: 'a', state: 'open' };
    for (const bucket of world.buckets) {
      if (bucket.claim !== undefined)
        bucket.claim = { ...bucket.claim, epoch: 2, writer: 'b', run: 'old', candidates: [] };
    }
    world.takeovers.set('b', 'old');
    return world;
  }

  /** Everything that two worlds at the end of the same book must have alike. */
  get state(): object {
    const { claim } = this.buckets[0] ?? {};
    return {
      claim: claim && { ...claim, sequence: 0 },
      databases: Object.entries(this.databases).map(([name, { role, row, promotions }]) => [
        name,
        role,
        row,
        promotions,
      ]),
      takeovers: [...this.takeovers],
      acts: Object.fromEntries(this.acts),
      growing: Object.fromEntries(this.#growing),
      cache: this.cacheLeader,
      share: this.shareOfA,
      shifts: [...this.shifts],
      placed: this.placed,
      used: this.usedDatabase,
      missing: this.missing,
      vault: this.vaultSnapshot,
      credential: this.credential,
      images: [...this.images],
      versions: [...this.versions],
    };
  }

  #act(name: string): void {
    const times = (this.acts.get(name) ?? 0) + 1;
    this.acts.set(name, times);
    if (times > 1) throw new Error(`${name} was asked for twice`);
  }

  #grow(name: string): void {
    this.#growing.set(name, looks);
  }

  #state(name: string): Growing {
    const left = this.#growing.get(name);
    if (left === undefined) return 'absent';
    if (left === 0) return 'ready';
    this.#growing.set(name, left - 1);
    return 'creating';
  }

  cacheLeader = 'a';
  readonly globalCache: GlobalCache = {
    view: async (region) => {
      const state = this.#state('cache');
      if (state === 'ready' && this.nextCacheLeader !== undefined) this.cacheLeader = this.nextCacheLeader;
      const note = `${this.cacheLeader} leads`;
      if (state === 'creating') return { is: 'moving', note };
      return { is: this.cacheLeader === region ? 'leads' : 'follows', note };
    },
    promote: async (region) => {
      this.#act('cache');
      this.nextCacheLeader = region;
      this.#grow('cache');
    },
    detach: async () => this.#act('cache cut off'),
  };
  nextCacheLeader: string | undefined;

  readonly shares = {
    read: async () => this.shareOfA,
    set: async (_: string, percent: number) => {
      this.#act(`share ${percent}${this.acts.has(`share ${percent}`) ? ' back' : ''}`);
      this.shareOfA = percent;
    },
  };

  async vitals(): Promise<Vitals> {
    return this.vitalsNow;
  }

  readonly replicas = {
    view: async (region: string, source: string) => {
      const state = this.#state(`replica ${region} of ${source}`);
      const database = this.database(region);
      if (state === 'ready' && database.source === undefined && database.role === 'primary' && database.row.epoch < 2) {
        database.role = 'replica';
        database.source = this.database(source);
      }
      return state;
    },
    create: async (region: string, source: string) => {
      this.#act(`replica ${region}`);
      this.#grow(`replica ${region} of ${source}`);
    },
    remove: async (region: string, source: string) => void this.#growing.delete(`replica ${region} of ${source}`),
    lostWrites: async () => (this.acts.has('lost writes') ? { count: 2, report: 's3://reports/lost.json' } : undefined),
    listLostWrites: async () => this.#act('lost writes'),
  };

  readonly zones = {
    capacityWithout: async (region: string) => this.capacity.read(region),
    raise: async (region: string, _zone: string, to: number) => this.capacity.raise(region, to),
    isShifted: async (region: string, zone: string) => this.shifts.has(`${region}/${zone}`),
    shift: async (region: string, zone: string) => {
      this.#act('shift');
      this.shifts.add(`${region}/${zone}`);
    },
    endShift: async (region: string, zone: string) => void this.shifts.delete(`${region}/${zone}`),
    placeOf: async (store: PlacedStore) => {
      const state = this.#state(`move ${store}`);
      if (state === 'ready') this.placed[store] = 'a2';
      return { zone: this.placed[store], isMoving: state === 'creating' };
    },
    move: async (store: PlacedStore) => {
      this.#act(`move ${store}`);
      this.#grow(`move ${store}`);
    },
  };

  async newestBackup(kind: RestorableKind) {
    const ageSeconds = kind in this.backupAges ? this.backupAges[kind] : 60;
    return ageSeconds === undefined ? undefined : { id: `${kind}-7`, takenAt: '2026-01-01T00:00:00.000Z', ageSeconds };
  }

  readonly restores = {
    ways: everyWay,
    view: async (_: string, name: string) => this.#state(name),
    begin: async ({ as }: RestoreRequest) => {
      this.#act('restore');
      this.#grow(as);
    },
    remove: async (_: string, name: string) => {
      this.#act('remove restored');
      this.#growing.delete(name);
    },
    read: async () => ({
      schemaVersion: '0004',
      keys: this.keysInBackup,
      spendRows: 900,
      newestSpendAt: '2026-01-01T00:00:00.000Z',
    }),
  };

  readonly inUse = {
    name: async () => this.usedDatabase,
    use: async (region: string, name: string) => {
      this.#act('use');
      this.usedDatabase = name;
      const database = this.database(region);
      database.away = false;
      database.role = 'primary';
      database.row = { epoch: this.restoredEpoch, writer: region, state: 'open' };
    },
    forgotten: async () => begunAnew[this.#state('forget')],
    forget: async () => {
      this.#act('forget');
      this.#grow('forget');
    },
    raise: async (_region: string, _name: string, epoch: number) => {
      this.restoredEpoch = Math.max(this.restoredEpoch, epoch);
    },
    epochOf: async () => this.restoredEpoch,
    missingSpend: async () => {
      const state = this.#state('reingest');
      if (state === 'ready') this.missing = 0;
      return { events: this.missing, isBeingShipped: state === 'creating' };
    },
    reingest: async () => {
      this.#act('reingest');
      this.#grow('reingest');
    },
  };

  readonly foundation = {
    view: async (region: string) => this.#state(`foundation ${region}`),
    build: async (region: string) => {
      this.#act('foundation');
      this.#grow(`foundation ${region}`);
    },
    vault: async () => ({ isUnsealed: true, snapshot: this.vaultSnapshot }),
    restoreVault: async (_: string, snapshot: string) => {
      this.#act('vault');
      this.vaultSnapshot = snapshot;
    },
    services: async () => ({ ready: this.servicesReady, wanted: 9 }),
    applyServices: async () => {
      this.#act('services');
      this.servicesReady = 9;
    },
  };

  readonly credentials = {
    view: async () => this.credential,
    stage: async (_name: string, _region: string, version: string) => {
      this.#act('stage');
      this.credential = { ...this.credential, pending: version };
    },
    accept: async (_name: string, _region: string, version: string) => {
      this.#act('accept');
      this.credential = { ...this.credential, accepted: [...this.credential.accepted, version] };
    },
    handOut: async (_name: string, _region: string, version: string) => {
      this.#act(`hand out ${version}`);
      this.credential = { ...this.credential, current: version, pending: undefined, used: [version] };
    },
    retire: async (_name: string, _region: string, version: string) => {
      const { pending } = this.credential;
      const isKnown = pending === version || this.credential.accepted.includes(version);
      if (isKnown) this.#act(`retire ${version}`);
      this.credential = {
        ...this.credential,
        pending: pending === version ? undefined : pending,
        accepted: this.credential.accepted.filter((accepted) => accepted !== version),
      };
    },
  };

  readonly releases = {
    view: async (part: ReleasePart) => {
      const state = this.#state(`roll ${partName(part)}`);
      return { image: this.images.get(partName(part)) ?? 'image:1', isRolledOut: state !== 'creating' };
    },
    roll: async (part: ReleasePart, image: string) => {
      this.#act(`roll ${partName(part)} to ${image}`);
      this.images.set(partName(part), image);
      this.#grow(`roll ${partName(part)}`);
    },
    schema: async () => ({ there: this.schemaThere, wanted: '0004' }),
    migrate: async () => {
      this.#act('migrate');
      this.schemaThere = '0004';
    },
  };

  readonly upgrades = {
    view: async (component: UpgradeComponent, region: string) => {
      const state = this.#state(`upgrade ${component}/${region}`);
      return { version: this.versions.get(`${component}/${region}`) ?? '', isSettled: state !== 'creating' };
    },
    begin: async (component: UpgradeComponent, region: string, to: string) => {
      this.#act(`upgrade ${component}/${region}`);
      this.#grow(`upgrade ${component}/${region}`);
      this.versions.set(`${component}/${region}`, to);
    },
    obstacles: async () => this.obstaclesFound,
    snapshot: async (_: string, name: string) => this.#state(name),
    takeSnapshot: async (_: string, name: string) => {
      this.#act('snapshot');
      this.#grow(name);
    },
  };

  readonly drill = {
    conditions: async () => this.drillConditions,
    load: async () => (this.isLoaded ? ('running' as const) : ('absent' as const)),
    startLoad: async () => {
      this.#act('start load');
      this.isLoaded = true;
    },
    stopLoad: async () => {
      this.#act('stop load');
      this.isLoaded = false;
    },
    fault: async ({ plan: { victim } }: Drilling): Promise<FaultState> => ({
      is: this.broken.has(victim) ? 'there' : 'absent',
    }),
    break: async ({ plan: { victim: region } }: Drilling) => {
      this.#act('break');
      this.broken.add(region);
      this.database(region).away = true;
    },
    mend: async ({ plan: { victim: region } }: Drilling) => {
      this.#act('mend');
      this.#grow('drained');
      this.broken.delete(region);
      this.database(region).away = false;
    },
    measure: async () => (this.#state('drained') === 'ready' ? this.measured : undefined),
  };
}
