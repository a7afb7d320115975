/** Explores every state of a model, breadth first, and gives the shortest way to a violation. */

export type Edge<State> = readonly [label: string, next: State];

export interface Model<State> {
  readonly initial: State;
  /** Equal for equal states only. */
  readonly key: (state: State) => string;
  readonly next: (state: State) => readonly Edge<State>[];
  /** Name of the violated invariant; undefined when all hold. */
  readonly violation: (state: State) => string | undefined;
  /** From every state that satisfies `from`, one that satisfies `good` must be reachable. */
  readonly recovers?: { readonly from: (state: State) => boolean; readonly good: (state: State) => boolean };
}

export interface Exploration {
  readonly states: number;
  readonly transitions: number;
  /** False when it ended at a violation or at the bound. */
  readonly complete: boolean;
  readonly violated: string | undefined;
  /** The shortest way to the violation, or to a state from which there is no recovery. */
  readonly trace: readonly string[];
  readonly stuck: boolean;
}

export function explore<State>(model: Model<State>, maxStates = 2_000_000): Exploration {
  const ids = new Map<string, number>();
  const parents: number[] = [];
  const labels: string[] = [];
  const queue: (State | undefined)[] = [];
  const good: number[] = [];
  const mustRecover: number[] = [];
  const edges: { readonly from: number[]; readonly to: number[] } = { from: [], to: [] };
  let transitions = 0;

  const add = (state: State, parent: number, label: string): number => {
    const key = model.key(state);
    const known = ids.get(key);
    if (known !== undefined) return known;
    const id = ids.size;
    ids.set(key, id);
    parents.push(parent);
    labels.push(label);
    queue.push(state);
    if (model.recovers?.good(state) === true) good.push(id);
    if (model.recovers?.from(state) === true) mustRecover.push(id);
    return id;
  };
  const traceTo = (id: number): string[] => {
    const steps: string[] = [];
    for (let at = id; at > 0; at = parents[at] ?? 0) steps.push(labels[at] ?? '');
    return steps.toReversed();
  };
  const ended = (more: Partial<Exploration>): Exploration => ({
    states: ids.size,
    transitions,
    complete: false,
    violated: undefined,
    trace: [],
    stuck: false,
    ...more,
  });

  add(model.initial, -1, '');
  for (let id = 0; id < queue.length; id++) {
    const state = queue[id];
    if (state === undefined) continue;
    // A state is not needed again; millions of them would fill the memory.
    queue[id] = undefined;
    const violated = model.violation(state);
    if (violated !== undefined) return ended({ violated, trace: traceTo(id) });
    for (const [label, next] of model.next(state)) {
      transitions++;
      const to = add(next, id, label);
      if (model.recovers !== undefined) {
        edges.from.push(id);
        edges.to.push(to);
      }
    }
    if (ids.size > maxStates) return ended({});
  }
  if (model.recovers === undefined) return ended({ complete: true });
  const reaches = reachersOf(good, edges, ids.size);
  const stuckAt = mustRecover.find((id) => reaches[id] !== 1);
  return ended({ complete: true, stuck: stuckAt !== undefined, trace: stuckAt === undefined ? [] : traceTo(stuckAt) });
}

/** Marks every state from which one of the goals can be reached: a walk against the edges. */
function reachersOf(
  goals: readonly number[],
  edges: { readonly from: readonly number[]; readonly to: readonly number[] },
  count: number,
): Uint8Array {
  const sources: number[][] = Array.from({ length: count }, () => []);
  for (const [index, to] of edges.to.entries()) sources[to]?.push(edges.from[index] ?? 0);
  const marked = new Uint8Array(count);
  const stack = [...goals];
  for (const id of stack) marked[id] = 1;
  for (let id = stack.pop(); id !== undefined; id = stack.pop()) {
    for (const source of sources[id] ?? []) {
      if (marked[source] === 1) continue;
      marked[source] = 1;
      stack.push(source);
    }
  }
  return marked;
}
