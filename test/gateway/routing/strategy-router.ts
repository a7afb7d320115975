import type { Deployment } from '../../../gateway/domain/deployment.ts';
import type { CooldownSettings, RoutingSettings, StrategyName } from '../../../gateway/domain/recovery.ts';
import { LoadBook } from '../../../gateway/routing/load.ts';
import { Router, type Wanted } from '../../../gateway/routing/router.ts';
import { anything, cooldownSettings, exampleDeployment, exampleGroup, routingSettings } from '../examples.ts';

export const names: readonly StrategyName[] = [
  'simple-shuffle',
  'least-busy',
  'usage-based-routing',
  'usage-based-routing-v2',
  'latency-based-routing',
  'cost-based-routing',
];
export const nobodyFailed: ReadonlySet<string> = new Set();
export const price = (each: number) => ({ prices: { inputCostPerToken: each, outputCostPerToken: each } });

export interface Made {
  readonly router: Router;
  readonly load: LoadBook;
  pass(milliseconds: number): void;
  /** Ids that `count` choices come to, with how often; nothing is begun. */
  shares(count?: number, wanted?: Wanted, failed?: ReadonlySet<string>): Record<string, number>;
  /** The one that every choice comes to. */
  always(wanted?: Wanted): string;
}

export function routerOf(
  routing: Partial<RoutingSettings>,
  deployments: readonly Deployment[],
  cooldown: Partial<CooldownSettings> = {},
): Made {
  let nowMs = 6_000_000;
  // Numerical Recipes' generator: the same draws in every run.
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const now = (): number => nowMs;
  const load = new LoadBook({ now, latencyTtlSeconds: routing.latencyTtlSeconds ?? 3_600 });
  const router = new Router({
    groups: exampleGroup(...deployments),
    aliases: new Map(),
    cooldown: cooldownSettings(cooldown),
    routing: routingSettings(routing),
    load,
    random,
    now,
  });
  const shares: Made['shares'] = (count = 400, wanted = anything, failed = nobodyFailed) => {
    const result: Record<string, number> = {};
    for (let choice = 0; choice < count; choice++) {
      const chosen = router.choose('chat', failed, wanted);
      const id = chosen?.id ?? 'nobody';
      result[id] = (result[id] ?? 0) + 1;
      if (chosen !== undefined) router.withdraw(chosen);
    }
    return result;
  };
  return {
    router,
    load,
    shares,
    pass: (milliseconds) => {
      nowMs += milliseconds;
    },
    always: (wanted) => {
      const [id, ...others] = Object.keys(shares(100, wanted));
      return others.length === 0 && id !== undefined ? id : `one of ${[id, ...others].join(', ')}`;
    },
  };
}

export const list = (...overs: readonly Partial<Deployment>[]): Deployment[] =>
  overs.map((over, index) => exampleDeployment(String.fromCodePoint(97 + index), over));
export const begin = ({ load }: Made, id: string, count: number): (() => void)[] =>
  Array.from({ length: count }, () => load.begin(id));
export const streaming: Wanted = { ...anything, stream: true };
