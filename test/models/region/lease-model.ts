/**
 * The claim's lease in discrete time: holder A renews by compare-and-swap on its buckets, B seizes a majority, waits,
 * opens. Messages take any time or are lost, seizing is not atomic over buckets, and the clocks drift. Invariant: A never
 * believes that it may acknowledge a write once B has opened.
 */
import type { Edge, Model } from './checker.ts';

export interface LeaseVariant {
  readonly buckets: 1 | 3;
  readonly ttl: number;
  /** Ticks by which the clocks may differ in total. */
  readonly drift: number;
  readonly wait: number;
  /** A renewal is good from before it was sent (chosen), or from the arrival of its answer. */
  readonly stamp: 'send' | 'answer';
  /** B waits after it has seized a majority (chosen), or before it seizes. */
  readonly waitStarts: 'after-seizing' | 'before-seizing';
  readonly quorum: number;
}

type InBucket = 'flying' | 'landed' | 'answered' | 'refused';
interface Round {
  readonly age: number;
  readonly at: readonly InBucket[];
}
type Phase = 'idle' | 'watching' | 'seizing' | 'waiting' | 'open';
interface State {
  readonly owners: readonly ('A' | 'B')[];
  readonly rounds: readonly Round[];
  /** Ticks that A believes its right lasts. */
  readonly left: number;
  readonly phase: Phase;
  readonly seizes: readonly InBucket[];
  readonly timer: number;
  readonly drift: number;
}

const put = <T>(list: readonly T[], index: number, value: T): T[] => list.with(index, value);
const count = <T>(list: readonly T[], value: T): number => list.filter((one) => one === value).length;

export function leaseModel(variant: LeaseVariant): Model<State> {
  const { buckets, ttl, wait, quorum, stamp, waitStarts } = variant;
  const majority = (buckets + 1) / 2;
  const oldest = ttl + variant.drift + 1;
  const none = Array.from<InBucket>({ length: buckets }).fill('flying');

  const ticks = (state: State): Edge<State>[] => {
    const timing = state.phase === 'waiting' || state.phase === 'watching';
    const tick = (label: string, a: number, b: number, drifted: number): Edge<State> => [
      label,
      {
        ...state,
        drift: state.drift - drifted,
        left: Math.max(0, state.left - a),
        timer: timing ? Math.min(wait, state.timer + b) : state.timer,
        rounds: state.rounds.map((round) => ({ ...round, age: Math.min(oldest, round.age + a) })),
      },
    ];
    const edges = [tick('tick', 1, 1, 0)];
    if (state.drift > 0) edges.push(tick("tick, A's clock is slow", 0, 1, 1), tick("tick, B's clock is fast", 1, 2, 1));
    return edges;
  };

  const renewals = (state: State): Edge<State>[] => {
    const edges: Edge<State>[] = [];
    if (state.rounds.length < 2) {
      edges.push(['A sends a renewal', { ...state, rounds: [...state.rounds, { age: 0, at: none }] }]);
    }
    for (const [index, round] of state.rounds.entries()) {
      const others = state.rounds.filter((_, other) => other !== index);
      const becomes = (at: InBucket[]): State => ({ ...state, rounds: put(state.rounds, index, { ...round, at }) });
      edges.push(['A gives a renewal up', { ...state, rounds: others }]);
      for (const [bucket, there] of round.at.entries()) {
        if (there === 'flying') {
          const result = state.owners[bucket] === 'A' ? 'landed' : 'refused';
          edges.push([`a renewal reaches bucket ${bucket}: ${result}`, becomes(put(round.at, bucket, result))]);
        }
        if (there !== 'landed') continue;
        const at = put(round.at, bucket, 'answered');
        if (count(at, 'answered') < majority) edges.push([`A hears of bucket ${bucket}`, becomes(at)]);
        else {
          const left = Math.max(state.left, stamp === 'send' ? ttl - round.age : ttl);
          edges.push([`A hears of bucket ${bucket}: renewed`, { ...state, rounds: others, left }]);
        }
      }
    }
    return edges;
  };

  const seizing = (state: State): Edge<State>[] => {
    const edges: Edge<State>[] = [];
    const waitsAfter = waitStarts === 'after-seizing';
    const begun: State = { ...state, phase: 'seizing', seizes: none };
    if (state.phase === 'idle') {
      edges.push(waitsAfter ? ['B seizes', begun] : ['B watches', { ...state, phase: 'watching', timer: 0 }]);
    }
    if (state.phase === 'watching' && state.timer >= wait) edges.push(['B seizes', begun]);
    if (state.phase === 'seizing' || state.phase === 'waiting' || state.phase === 'open') {
      for (const [bucket, there] of state.seizes.entries()) {
        if (there === 'flying') {
          const owners = put(state.owners, bucket, 'B' as const);
          edges.push([
            `B's seizure reaches bucket ${bucket}`,
            { ...state, owners, seizes: put(state.seizes, bucket, 'landed') },
          ]);
        }
        if (there === 'landed') {
          edges.push([`B hears of bucket ${bucket}`, { ...state, seizes: put(state.seizes, bucket, 'answered') }]);
        }
      }
    }
    if (state.phase === 'seizing' && count(state.seizes, 'answered') >= quorum) {
      edges.push(
        waitsAfter ? ['B waits', { ...state, phase: 'waiting', timer: 0 }] : ['B opens', { ...state, phase: 'open' }],
      );
    }
    if (state.phase === 'waiting') {
      edges.push(['the run is killed and resumed: the wait begins anew', { ...state, timer: 0 }]);
      if (state.timer >= wait) edges.push(['B opens', { ...state, phase: 'open' }]);
    }
    return edges;
  };

  return {
    initial: {
      owners: Array.from<'A'>({ length: buckets }).fill('A'),
      rounds: [],
      left: ttl,
      phase: 'idle',
      seizes: none,
      timer: 0,
      drift: variant.drift,
    },
    key: (state) =>
      [
        state.owners.join(''),
        state.rounds
          .map(({ age, at }) => `${age}${initials(at)}`)
          .toSorted()
          .join(','),
        state.left,
        state.phase,
        initials(state.seizes),
        state.timer,
        state.drift,
      ].join('|'),
    violation: ({ left, phase }) =>
      left > 0 && phase === 'open' ? 'the old holder may acknowledge after the new one has opened' : undefined,
    next: (state) => [...ticks(state), ...renewals(state), ...seizing(state)],
  };
}

const initials = (list: readonly InBucket[]): string => list.map((one) => one[0]).join('');
