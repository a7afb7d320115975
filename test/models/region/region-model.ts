/**
 * Two regions (0 = A, the first writer; 1 = B, its replica) with their databases, gateways, outboxes, and the operators
 * of runbooks. Delay, loss and partition are nondeterminism: what needs a message may never happen. A lease may lapse at
 * any moment; its timing is `lease-model.ts`. A region crashes and returns with its disks; a run may be killed anywhere.
 *
 * The guards are the product's own functions. A naive variant replaces one of them.
 */
import {
  type Claim,
  type DatabaseView,
  opened,
  type RegionRow,
  raised,
  renewed,
  seizure,
} from '../../../gateway/region/claim.ts';
import * as right from '../../../gateway/region/right-to-write.ts';
import type { Edge, Model } from './checker.ts';

export type Region = 0 | 1;

export const guards = { ...right, raised, renewed, opened, seizure };
export type Guards = typeof guards;

export interface RegionVariant {
  readonly guards: Guards;
  /** A promotion waits until no lease of an earlier epoch can be valid. */
  readonly waitsForLease: boolean;
  /** The ingest skips what it has. */
  readonly ingestsOnce: boolean;
  /** What an outbox asks before it forgets: what every replica shows, what is committed, or positions of the log. */
  readonly forgets: 'shown' | 'committed' | 'by-position';
  /** Rebuilding an old primary first lists what only it has acknowledged. */
  readonly reportsBeforeRebuild: boolean;
  /** Bounds of the exploration. */
  readonly gatewaysPerRegion: 1 | 2;
  readonly writes: number;
  /** Event 0 lives in A's outbox, event 1 in B's. */
  readonly events: 0 | 1 | 2;
  readonly operators: 1 | 2;
  readonly maxEpoch: number;
}

export const chosen: RegionVariant = {
  guards,
  waitsForLease: true,
  ingestsOnce: true,
  forgets: 'shown',
  reportsBeforeRebuild: true,
  gatewaysPerRegion: 1,
  writes: 2,
  events: 1,
  operators: 1,
  maxEpoch: 3,
};

/**
 * One record a character: a.. a control-plane write, x and y the spend events, '!' the epoch was closed, a digit d = the
 * row was set to epoch d >> 1 and writer d & 1.
 */
type Log = string;

interface Write {
  readonly epoch: number;
  readonly region: Region;
  readonly acknowledged: boolean;
}
interface Gateway {
  readonly is: 'idle' | 'began' | 'committed';
  readonly write: number;
  readonly epoch: number;
}
interface SpendEvent {
  readonly is: 'future' | 'in-outbox' | 'forgotten';
  /** 0 = never sent, 1 = a copy is still on its way, 2 = that copy has arrived. */
  readonly copies: 0 | 1 | 2;
}
interface Operator {
  readonly at: 'idle' | 'closed' | 'seized' | 'waited' | 'promoted' | 'raised';
  readonly epoch: number;
  readonly target: Region;
}
interface State {
  readonly up: readonly boolean[];
  readonly primary: readonly boolean[];
  readonly logs: readonly Log[];
  /** Epoch of the lease that the region holds; 0 = none. */
  readonly leases: readonly number[];
  readonly claim: Claim;
  /** The seizure belongs to a planned switchover. */
  readonly planned: boolean;
  readonly gateways: readonly Gateway[];
  readonly writes: readonly Write[];
  readonly events: readonly SpendEvent[];
  readonly operators: readonly Operator[];
  readonly newestAcknowledged: number;
  /** Region that acknowledged in each epoch. */
  readonly acknowledgers: readonly (Region | undefined)[];
  readonly reported: string;
  readonly broken: string | undefined;
}

const regions: readonly Region[] = [0, 1];
const nameOf = (region: Region): string => (region === 0 ? 'A' : 'B');
const regionOf = (name: string): Region => (name === 'A' ? 0 : 1);
const other = (region: Region): Region => (region === 0 ? 1 : 0);
const logOf = (state: State, region: Region): Log => state.logs[region] ?? '';
const writeRecord = (index: number): string => String.fromCharCode(97 + index);
const eventRecord = (index: number): string => (index === 0 ? 'x' : 'y');
const rowRecord = ({ epoch, writer }: RegionRow): string => String(epoch * 2 + regionOf(writer));
const isRowRecord = (record: string): boolean => record >= '0' && record <= '9';
const put = <T>(list: readonly T[], index: number, value: T): T[] => list.with(index, value);
const idleGateway: Gateway = { is: 'idle', write: 0, epoch: 0 };
const idleOperator: Operator = { at: 'idle', epoch: 0, target: 0 };

function rowOf(log: Log): RegionRow {
  let state: RegionRow['state'] = 'open';
  for (const record of Array.from(log).toReversed()) {
    if (record === '!') state = 'closed';
    if (isRowRecord(record)) {
      const code = Number(record);
      return { epoch: code >> 1, writer: nameOf(code % 2 === 0 ? 0 : 1), state };
    }
  }
  return { epoch: 0, writer: '', state };
}

const viewOf = (state: State, region: Region): DatabaseView => ({
  isPrimary: state.primary[region] === true,
  row: rowOf(logOf(state, region)),
});

/** The claim's writer is there, and its database says the same. */
function isSettled(state: State): boolean {
  const writer = regionOf(state.claim.writer);
  const { isPrimary, row } = viewOf(state, writer);
  return (
    state.claim.phase === 'held' && isPrimary && row.epoch === state.claim.epoch && row.writer === state.claim.writer
  );
}

/** @param only the invariant that is looked at, to show what one naive variant is about. */
export function regionModel(variant: RegionVariant, { withRecovery = false, only = 'I' } = {}): Model<State> {
  const homeOf = (gateway: number): Region => (gateway < variant.gatewaysPerRegion ? 0 : 1);
  return {
    initial: {
      up: [true, true],
      primary: [true, false],
      logs: ['2', '2'],
      leases: [1, 0],
      claim: { epoch: 1, writer: 'A', phase: 'held', run: null, candidates: ['B'], sequence: 0, ttlSeconds: 15 },
      planned: false,
      gateways: Array.from({ length: variant.gatewaysPerRegion * 2 }, () => idleGateway),
      writes: [],
      events: Array.from({ length: variant.events }, (): SpendEvent => ({ is: 'future', copies: 0 })),
      operators: Array.from({ length: variant.operators }, () => idleOperator),
      newestAcknowledged: 0,
      acknowledgers: [],
      reported: '',
      broken: undefined,
    },
    key: (state) => keyOf(state, homeOf),
    violation: (state) => {
      const found = violationOf(state);
      return found?.startsWith(only) === true ? found : undefined;
    },
    next: (state) => [
      ...regionsMove(state, variant, homeOf),
      ...gatewaysMove(state, variant, homeOf),
      ...spendMoves(state, variant),
      ...operatorsMove(state, variant),
    ],
    ...(withRecovery
      ? { recovers: { from: (state: State) => state.claim.epoch < variant.maxEpoch, good: isWhole } }
      : {}),
  };
}

/** A writer that may write, a replica, everything up, and every event in the surviving database. */
function isWhole(state: State): boolean {
  const writer = regionOf(state.claim.writer);
  return (
    isSettled(state) &&
    state.leases[writer] === state.claim.epoch &&
    rowOf(logOf(state, writer)).state === 'open' &&
    state.primary[other(writer)] === false &&
    state.up.every(Boolean) &&
    state.events.every(
      ({ is }, index) => is === 'future' || (is === 'forgotten' && logOf(state, writer).includes(eventRecord(index))),
    )
  );
}

/** Gateways of a region, and operators, are interchangeable. */
function keyOf(state: State, homeOf: (gateway: number) => Region): string {
  const { claim } = state;
  return [
    state.up.map(Number).join(''),
    state.primary.map(Number).join(''),
    state.logs.join('/'),
    state.leases.join(''),
    `${claim.epoch}${claim.writer}${claim.phase[0]}${state.planned ? 'p' : ''}`,
    regions
      .map((region) =>
        state.gateways
          .filter((_, index) => homeOf(index) === region)
          .map(({ is, write, epoch }) => `${is[0]}${write}${epoch}`)
          .toSorted()
          .join(','),
      )
      .join(';'),
    state.writes.map(({ epoch, region, acknowledged }) => `${epoch}${region}${Number(acknowledged)}`).join(','),
    state.events.map(({ is, copies }) => is[0] + String(copies)).join(','),
    state.operators
      .map(({ at, epoch, target }) => `${at}${epoch}${target}`)
      .toSorted()
      .join(','),
    state.newestAcknowledged,
    state.acknowledgers.join('.'),
    state.reported,
    state.broken,
  ].join(' ');
}

function violationOf(state: State): string | undefined {
  if (state.broken !== undefined) return state.broken;
  for (const index of state.events.keys()) {
    const twice = regions.some((region) => logOf(state, region).split(eventRecord(index)).length > 2);
    if (twice) return 'I4 a spend event is counted twice';
  }
  if (!isSettled(state)) return undefined;
  const writer = regionOf(state.claim.writer);
  const survivor = logOf(state, writer);
  for (const [index, event] of state.events.entries()) {
    if (event.is === 'forgotten' && !survivor.includes(eventRecord(index))) {
      return 'I4 a spend event is lost: no outbox has it, and the surviving database lacks it';
    }
  }
  return historyFault(state, survivor) ?? vanishedWrite(state, survivor, logOf(state, other(writer)));
}

/** I3: every write of the survivor was made in its epoch, by that epoch's writer. */
function historyFault(state: State, survivor: Log): string | undefined {
  let epoch = 0;
  let writer = 0;
  for (const record of survivor) {
    if (isRowRecord(record)) {
      const code = Number(record);
      if (code >> 1 <= epoch) return 'I3 the epoch of the survivor does not rise';
      epoch = code >> 1;
      writer = code % 2;
    }
    const write = record >= 'a' && record < 'x' ? state.writes[record.charCodeAt(0) - 97] : undefined;
    if (write !== undefined && (write.epoch !== epoch || write.region !== writer)) {
      return 'I3 a write outside its epoch or region survives';
    }
  }
  return undefined;
}

function vanishedWrite(state: State, survivor: Log, elsewhere: Log): string | undefined {
  const vanished = state.writes.some(({ acknowledged }, index) => {
    const record = writeRecord(index);
    return acknowledged && !`${survivor}${elsewhere}${state.reported}`.includes(record);
  });
  return vanished ? 'I5 an acknowledged write vanished, and nobody was told' : undefined;
}

type Moves = Edge<State>[];

/** Crashes, leases, replication, and the old primary that becomes a replica. */
function regionsMove(state: State, variant: RegionVariant, homeOf: (gateway: number) => Region): Moves {
  const edges: Moves = [];
  const bothUp = state.up.every(Boolean);
  for (const region of regions) {
    const name = nameOf(region);
    const log = logOf(state, region);
    const source = logOf(state, other(region));
    if (state.up[region] === true) {
      const gateways = state.gateways.map((gateway, index) => (homeOf(index) === region ? idleGateway : gateway));
      edges.push([`region ${name} crashes`, { ...state, up: put(state.up, region, false), gateways }]);
      const { epoch } = state.claim;
      const renewal = variant.guards.renewed(state.claim, name, viewOf(state, region));
      // The sequence is left as it was: it would only make equal states look different.
      if (renewal !== undefined && state.leases[region] !== epoch) {
        edges.push([`${name} renews the claim`, { ...state, leases: put(state.leases, region, epoch) }]);
      }
    } else {
      edges.push([`region ${name} returns`, { ...state, up: put(state.up, region, true) }]);
    }
    if (state.leases[region] !== 0) {
      edges.push([`the lease of ${name} lapses`, { ...state, leases: put(state.leases, region, 0) }]);
    }
    const isReplica = state.primary[region] === false;
    if (isReplica && bothUp && source.length > log.length && source.startsWith(log)) {
      const next = source.slice(0, log.length + 1);
      edges.push([`${name} replays "${next.at(-1)}"`, { ...state, logs: put(state.logs, region, next) }]);
    }
    const mustBeRebuilt = !isReplica || !source.startsWith(log);
    if (isSettled(state) && state.claim.writer !== name && bothUp && mustBeRebuilt) {
      edges.push(rebuild(state, variant, region));
    }
  }
  return edges;
}

function rebuild(state: State, variant: RegionVariant, region: Region): Edge<State> {
  const log = logOf(state, region);
  const survivor = logOf(state, other(region));
  const lost = state.writes
    .map(({ acknowledged }, index) => (acknowledged ? writeRecord(index) : ''))
    .filter((record) => record !== '' && log.includes(record) && !`${survivor}${state.reported}`.includes(record));
  return [
    `${nameOf(region)} is rebuilt as a replica${lost.length > 0 && variant.reportsBeforeRebuild ? `, ${lost.join()} reported as lost` : ''}`,
    {
      ...state,
      primary: put(state.primary, region, false),
      logs: put(state.logs, region, survivor),
      reported: variant.reportsBeforeRebuild
        ? [...Array.from(state.reported), ...lost].toSorted().join('')
        : state.reported,
    },
  ];
}

/** Control-plane writes: begin, commit, second look, answer. */
function gatewaysMove(state: State, variant: RegionVariant, homeOf: (gateway: number) => Region): Moves {
  const { mayBegin, mayCommit, mayAcknowledge } = variant.guards;
  const edges: Moves = [];
  for (const [index, gateway] of state.gateways.entries()) {
    const region = homeOf(index);
    const name = nameOf(region);
    const who = `gateway ${index} in ${name}`;
    const view = viewOf(state, region);
    const held = state.leases[region] ?? 0;
    const lease = held === 0 ? undefined : { epoch: held };
    const becomes = (next: Gateway): State => ({ ...state, gateways: put(state.gateways, index, next) });
    const record = writeRecord(gateway.write);
    const isUp = state.up[region] === true;
    if (gateway.is === 'idle' && isUp && state.writes.length < variant.writes && mayBegin(view, name, lease)) {
      const { epoch } = view.row;
      const next = becomes({ is: 'began', write: state.writes.length, epoch });
      edges.push([
        `${who} begins write ${writeRecord(state.writes.length)} in epoch ${epoch}`,
        { ...next, writes: [...state.writes, { epoch, region, acknowledged: false }] },
      ]);
    }
    if (gateway.is === 'began' && isUp) {
      edges.push(
        mayCommit(view, name, gateway.epoch)
          ? [
              `${who} commits ${record}`,
              {
                ...becomes({ ...gateway, is: 'committed' }),
                logs: put(state.logs, region, logOf(state, region) + record),
              },
            ]
          : [`${who}: ${record} is refused in its transaction`, becomes(idleGateway)],
      );
    }
    if (gateway.is === 'committed') {
      edges.push(
        mayAcknowledge(lease, gateway.epoch)
          ? [
              `${who} acknowledges ${record} of epoch ${gateway.epoch}`,
              afterAnswer(becomes(idleGateway), gateway, region),
            ]
          : [`${who}: the outcome of ${record} is unknown (503)`, becomes(idleGateway)],
      );
    }
  }
  return edges;
}

function afterAnswer(state: State, { write, epoch }: Gateway, region: Region): State {
  const before = state.acknowledgers[epoch];
  const broken =
    before !== undefined && before !== region
      ? `I1 two regions acknowledge writes in epoch ${epoch}`
      : epoch < state.newestAcknowledged
        ? `I2 epoch ${epoch} acknowledges a write after epoch ${state.newestAcknowledged} has`
        : undefined;
  const acknowledgers = [...state.acknowledgers];
  acknowledgers[epoch] = region;
  return {
    ...state,
    writes: state.writes.map((one, index) => (index === write ? { ...one, acknowledged: true } : one)),
    newestAcknowledged: Math.max(state.newestAcknowledged, epoch),
    // Holes would make equal lists look different.
    acknowledgers: Array.from(acknowledgers),
    broken,
  };
}

/** Spend: from an outbox to the writer, perhaps twice, and forgotten at last. */
function spendMoves(state: State, variant: RegionVariant): Moves {
  const edges: Moves = [];
  for (const [index, event] of state.events.entries()) {
    const record = eventRecord(index);
    const home: Region = index === 0 ? 0 : 1;
    const becomes = (next: Partial<SpendEvent>): State => ({
      ...state,
      events: put(state.events, index, { ...event, ...next }),
    });
    if (event.is === 'future' && state.up[home] === true) {
      edges.push([`${record} is in the outbox of ${nameOf(home)}`, becomes({ is: 'in-outbox' })]);
    }
    for (const target of regions) {
      const view = viewOf(state, target);
      if (state.up[target] !== true || !variant.guards.mayIngest(view, nameOf(target))) continue;
      const log = logOf(state, target);
      const has = variant.ingestsOnce && log.includes(record);
      const logs = has ? state.logs : put(state.logs, target, log + record);
      if (event.is === 'in-outbox' && state.up[home] === true && (!has || event.copies === 0)) {
        const copies = event.copies === 0 ? 1 : event.copies;
        edges.push([`${record} is ingested in ${nameOf(target)}`, { ...becomes({ copies }), logs }]);
      }
      if (event.copies === 1) {
        edges.push([`a late copy of ${record} reaches ${nameOf(target)}`, { ...becomes({ copies: 2 }), logs }]);
      }
    }
    if (event.is === 'in-outbox' && state.up[home] === true && mayForget(state, variant, record)) {
      edges.push([`the outbox of ${nameOf(home)} forgets ${record}`, becomes({ is: 'forgotten' })]);
    }
  }
  return edges;
}

function mayForget(state: State, variant: RegionVariant, record: string): boolean {
  const position = (region: Region): number => logOf(state, region).indexOf(record);
  if (variant.forgets === 'committed') {
    return regions.some((region) => state.primary[region] === true && position(region) >= 0);
  }
  if (variant.forgets === 'by-position') {
    return regions.some((region) => position(region) >= 0 && logOf(state, other(region)).length > position(region));
  }
  return variant.guards.mayForget(
    1,
    regions.map((region) => (position(region) >= 0 ? 1 : 0)),
  );
}

/** Runbooks: failover, switchover, abort; killed and resumed anywhere, and acting late. */
function operatorsMove(state: State, variant: RegionVariant): Moves {
  const edges: Moves = [];
  for (const [index, operator] of state.operators.entries()) {
    const who = `operator ${index}`;
    const becomes = (next: Operator): State => ({ ...state, operators: put(state.operators, index, next) });
    if (operator.at !== 'idle') edges.push([`${who} is killed`, becomes(idleOperator)]);
    edges.push(...beginnings(state, variant, operator, who, becomes));
    edges.push(...switchoverMoves(state, variant, operator, who, becomes));
    edges.push(...promotionMoves(state, variant, operator, who, becomes));
  }
  return edges;
}

type Becomes = (next: Operator) => State;

function beginnings(state: State, variant: RegionVariant, operator: Operator, who: string, becomes: Becomes): Moves {
  if (operator.at !== 'idle') return [];
  const { claim } = state;
  const writer = regionOf(claim.writer);
  const target = other(writer);
  const { isPrimary, row } = viewOf(state, writer);
  const epoch = claim.epoch + 1;
  const edges: Moves = [];
  if (claim.phase === 'seized') {
    edges.push([`${who} resumes epoch ${claim.epoch}`, becomes({ at: 'seized', epoch: claim.epoch, target: writer })]);
    return edges;
  }
  if (claim.epoch >= variant.maxEpoch) return edges;
  const targetIsReplica = state.primary[target] === false;
  if (state.up[target] === true && targetIsReplica) {
    edges.push([
      `${who} seizes epoch ${epoch} for ${nameOf(target)} (failover)`,
      seized(becomes({ at: 'seized', epoch, target }), variant, target, false),
    ]);
  }
  const isOurs = row.epoch === claim.epoch && row.writer === claim.writer;
  if (state.up[writer] === true && isPrimary && isOurs && targetIsReplica && row.state === 'open') {
    const next = becomes({ at: 'closed', epoch, target });
    edges.push([
      `${who} closes epoch ${claim.epoch} (switchover)`,
      { ...next, logs: put(state.logs, writer, `${logOf(state, writer)}!`) },
    ]);
  }
  if (row.state === 'closed' && row.epoch === claim.epoch) {
    edges.push([`${who} resumes the switchover`, becomes({ at: 'closed', epoch, target })]);
  }
  return edges;
}

/** The compare-and-swap. Its caller has seen the claim as it is. */
function seized(state: State, variant: RegionVariant, target: Region, planned: boolean): State {
  const result = variant.guards.seizure(state.claim, 'run', nameOf(target));
  return result.is === 'seize' ? { ...state, claim: { ...result.claim, sequence: 0, candidates: [] }, planned } : state;
}

/** A run that gives the right (back) to a region that is the claim's writer already: a new epoch all the same. */
const seizedAnew = (state: State, target: Region): State => ({
  ...state,
  claim: { ...state.claim, epoch: state.claim.epoch + 1, writer: nameOf(target), phase: 'seized' },
  planned: false,
});

function switchoverMoves(
  state: State,
  variant: RegionVariant,
  operator: Operator,
  who: string,
  becomes: Becomes,
): Moves {
  if (operator.at !== 'closed') return [];
  const { claim } = state;
  const { epoch, target } = operator;
  if (claim.phase !== 'held' || claim.epoch !== epoch - 1) {
    return [[`${who}: the claim has moved on, stops`, becomes(idleOperator)]];
  }
  const edges: Moves = [];
  const row = rowOf(logOf(state, target));
  if (state.primary[target] === false && row.epoch === claim.epoch && row.state === 'closed') {
    edges.push([
      `${who} seizes epoch ${epoch} for ${nameOf(target)} (switchover, the close is replayed)`,
      seized(becomes({ ...operator, at: 'seized' }), variant, target, true),
    ]);
  }
  const former = other(target);
  edges.push([
    `${who} opens ${nameOf(former)} again with epoch ${epoch}`,
    seizedAnew(becomes({ at: 'seized', epoch, target: former }), former),
  ]);
  return edges;
}

function promotionMoves(
  state: State,
  variant: RegionVariant,
  operator: Operator,
  who: string,
  becomes: Becomes,
): Moves {
  const { at, epoch, target } = operator;
  const { claim } = state;
  const name = nameOf(target);
  const edges: Moves = [];
  const nobodyHolds = state.leases.every((lease) => lease === 0);
  if (at === 'seized' && (!variant.waitsForLease || nobodyHolds || claim.epoch !== epoch)) {
    edges.push([`${who} has waited the lease out`, becomes({ ...operator, at: 'waited' })]);
  }
  const former = other(target);
  const isMine = claim.phase === 'seized' && claim.epoch === epoch;
  if ((at === 'seized' || at === 'waited') && isMine && epoch < variant.maxEpoch && state.primary[former] === true) {
    edges.push([
      `${who} aborts: epoch ${epoch + 1} back to ${nameOf(former)}`,
      seizedAnew(becomes({ at: 'seized', epoch: epoch + 1, target: former }), former),
    ]);
  }
  if (state.up[target] !== true) return edges;
  // The promotion knows no epoch: an operator who is late promotes whatever is there.
  if (at === 'waited') {
    const primary = put(state.primary, target, true);
    edges.push([`${who} promotes ${name}`, { ...becomes({ ...operator, at: 'promoted' }), primary }]);
  }
  if (at === 'promoted' && state.primary[target] === false) {
    edges.push([`${who}: ${name} is a replica again, stops`, becomes(idleOperator)]);
  } else if (at === 'promoted') {
    const before = rowOf(logOf(state, target));
    const after = variant.guards.raised(before, epoch, name);
    if (after.epoch <= variant.maxEpoch) {
      const next = becomes({
        ...operator,
        at: 'raised',
        epoch: variant.guards.raised === raised ? epoch : after.epoch,
      });
      const log = logOf(state, target);
      const logs = after.epoch === before.epoch ? state.logs : put(state.logs, target, log + rowRecord(after));
      edges.push([`${who} raises ${name} to epoch ${after.epoch}`, { ...next, logs }]);
    }
  }
  if (at === 'raised') edges.push(opening(state, variant, operator, who, becomes));
  return edges;
}

function opening(state: State, variant: RegionVariant, operator: Operator, who: string, becomes: Becomes): Edge<State> {
  const { epoch, target } = operator;
  const log = logOf(state, target);
  const claim = variant.guards.opened(state.claim, epoch, rowOf(log));
  if (claim === undefined || claim.writer !== nameOf(target)) {
    return [`${who}: there is nothing to open, stops`, becomes(idleOperator)];
  }
  const lost =
    state.planned &&
    state.writes.some(
      (write, index) => write.acknowledged && write.epoch === epoch - 1 && !log.includes(writeRecord(index)),
    );
  return [
    `${who} opens epoch ${epoch} in ${nameOf(target)}`,
    {
      ...becomes(idleOperator),
      claim: { ...claim, sequence: 0 },
      broken: lost ? 'I6 a planned switchover lost an acknowledged write' : state.broken,
    },
  ];
}
