/**
 * What the scheduler may do with pods under our placement rules: a model of PodTopologySpread as Kubernetes documents it.
 * Where the rules leave a choice it takes the worst, so that what holds here holds by the rule and not by good luck.
 */

export interface SimulatedNode {
  readonly name: string;
  readonly zone: string;
  /** False = drained or lost. */
  readonly schedulable: boolean;
}

export interface SpreadRule {
  readonly maxSkew: number;
  /** `Honor`: zones without a schedulable node do not count. */
  readonly nodeTaintsPolicy: 'Honor' | 'Ignore';
}

/** Pods by their node; one entry for each pod. */
export type Placed = readonly string[];

/** Where one more pod goes, or undefined when the rule leaves no place and the pod waits. */
export function placeOne(nodes: readonly SimulatedNode[], placed: Placed, rule: SpreadRule): string | undefined {
  const eligible = nodes.filter(({ schedulable }) => schedulable || rule.nodeTaintsPolicy === 'Ignore');
  const counts = new Map(eligible.map(({ zone }) => [zone, 0]));
  for (const node of placed) {
    const zone = nodes.find(({ name }) => name === node)?.zone ?? '';
    const count = counts.get(zone);
    if (count !== undefined) counts.set(zone, count + 1);
  }
  const least = Math.min(...counts.values());
  const allowed = nodes.filter(
    ({ zone, schedulable }) => schedulable && (counts.get(zone) ?? 0) + 1 - least <= rule.maxSkew,
  );
  // The fullest zone first: the rule alone must keep the balance.
  const [worst] = allowed.toSorted((a, b) => (counts.get(b.zone) ?? 0) - (counts.get(a.zone) ?? 0));
  return worst?.name;
}

/** Places as many as the rule lets; the rest waits. */
export function placeAll(nodes: readonly SimulatedNode[], placed: Placed, rule: SpreadRule, wanted: number): Placed {
  let all = [...placed];
  while (all.length < wanted) {
    const node = placeOne(nodes, all, rule);
    if (node === undefined) return all;
    all = [...all, node];
  }
  return all;
}

/** Pods in each zone that has a schedulable node. */
export function byZone(nodes: readonly SimulatedNode[], placed: Placed): number[] {
  const zones = new Set(nodes.filter(({ schedulable }) => schedulable).map(({ zone }) => zone));
  return [...zones].map(
    (zone) => placed.filter((node) => nodes.some((one) => one.name === node && one.zone === zone)).length,
  );
}

export interface Drain {
  readonly placed: Placed;
  /** Fewest pods that ran at any time. */
  readonly fewest: number;
  /** True when the node is empty at the end. */
  readonly done: boolean;
}

/** Drains a node: one eviction at a time, only while the budget allows it, and the replacement starts before the next. */
export function drain(
  nodes: readonly SimulatedNode[],
  before: Placed,
  rule: SpreadRule,
  options: { readonly node: string; readonly minAvailable: number },
): Drain & { readonly nodes: readonly SimulatedNode[] } {
  const left = nodes.map((node) => (node.name === options.node ? { ...node, schedulable: false } : node));
  let placed = before;
  let fewest = placed.length;
  while (placed.includes(options.node)) {
    if (placed.length - 1 < options.minAvailable) return { placed, fewest, done: false, nodes: left };
    const evicted = placed.toSpliced(placed.indexOf(options.node), 1);
    fewest = Math.min(fewest, evicted.length);
    placed = placeAll(left, evicted, rule, before.length);
    if (placed.length === evicted.length) return { placed, fewest, done: !placed.includes(options.node), nodes: left };
  }
  return { placed, fewest, done: true, nodes: left };
}
