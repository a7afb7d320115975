import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Deployment } from '../../../gateway/domain/deployment.ts';
import type { CooldownSettings } from '../../../gateway/domain/recovery.ts';
import { LoadBook } from '../../../gateway/routing/load.ts';
import { Router } from '../../../gateway/routing/router.ts';
import {
  anything,
  cooldownSettings,
  exampleDeployment,
  exampleGroup,
  routingSettings,
  upstreamError,
} from '../examples.ts';

const a = exampleDeployment('a');
const b = exampleDeployment('b');
const c = exampleDeployment('c');
const limited = upstreamError('rate-limit');
const nobodyFailed: ReadonlySet<string> = new Set();

interface Made {
  readonly router: Router;
  readonly published: { readonly id: string; readonly forMs: number }[];
  readonly cooled: string[];
  readonly pass: (milliseconds: number) => void;
  /** Ids that a hundred choices come to; a probe among them is given back. */
  readonly chosen: (failed?: ReadonlySet<string>) => string[];
}

function routerOf(deployments: readonly Deployment[], settings: Partial<CooldownSettings> = {}): Made {
  let nowMs = 1_000_000;
  const published: Made['published'] = [];
  const cooled: string[] = [];
  const router = new Router({
    groups: exampleGroup(...deployments),
    aliases: new Map([
      ['alias', { group: 'chat', hidden: false }],
      ['secret-alias', { group: 'chat', hidden: true }],
      ['dangling', { group: 'nowhere', hidden: false }],
    ]),
    cooldown: cooldownSettings(settings),
    routing: routingSettings(),
    load: new LoadBook({ now: () => nowMs, latencyTtlSeconds: 3_600 }),
    random: Math.random,
    now: () => nowMs,
    share: { publish: (id, forMs) => published.push({ id, forMs }) },
    onCooled: (deployment) => cooled.push(deployment.id),
  });
  return {
    router,
    published,
    cooled,
    pass: (milliseconds) => {
      nowMs += milliseconds;
    },
    chosen: (failed = nobodyFailed) => {
      const ids = new Set<string>();
      for (let choice = 0; choice < 100; choice++) {
        const deployment = router.choose('chat', failed, anything);
        if (deployment === undefined) continue;
        ids.add(deployment.id);
        router.withdraw(deployment);
      }
      return [...ids].toSorted();
    },
  };
}

describe('names', () => {
  it('are the groups and the aliases that are not hidden', () => {
    expect(routerOf([a]).router.directory.names()).toEqual(['chat', 'alias', 'dangling']);
  });

  it.each([
    ['chat', 'chat'],
    ['alias', 'chat'],
    ['secret-alias', 'chat'],
    ['a', 'a'],
    ['dangling', undefined],
    ['unknown', undefined],
    ['', undefined],
    ['constructor', undefined],
  ])('%j stands for %j', (name, group) => {
    expect(routerOf([a]).router.directory.resolve(name)).toBe(group);
  });

  it('a deployment’s id is a group of its own', () => {
    const { router } = routerOf([a, b]);
    expect(router.choose('b', nobodyFailed, anything)).toBe(b);
  });
});

describe('choosing', () => {
  it('an unknown group has nobody', () => {
    expect(routerOf([a]).router.choose('unknown', nobodyFailed, anything)).toBeUndefined();
  });

  it('those that failed this request come last, and are asked again when there is nobody else', () => {
    const { chosen } = routerOf([a, b, c]);
    expect(chosen(new Set(['a']))).toEqual(['b', 'c']);
    expect(chosen(new Set(['a', 'b']))).toEqual(['c']);
    expect(chosen(new Set(['a', 'b', 'c']))).toEqual(['a', 'b', 'c']);
  });

  it('availability tells how many there are, may be called, and were not tried', () => {
    const { router } = routerOf([a, b, c]);
    router.record(a, limited);
    expect(router.availability('chat', new Set(['a', 'b']), anything)).toEqual({ all: 3, eligible: 2, untried: 1 });
    expect(router.availability('unknown', nobodyFailed, anything)).toEqual({ all: 0, eligible: 0, untried: 0 });
  });
});

describe('a cooling deployment', () => {
  it('is never chosen while another may serve, and its siblings are told once', () => {
    const { router, chosen, published, cooled } = routerOf([a, b]);
    router.record(a, limited);
    router.record(a, limited);
    expect(chosen()).toEqual(['b']);
    expect(published).toEqual([{ id: 'a', forMs: 30_000 }]);
    expect(cooled).toEqual(['a']);
  });

  it('is not chosen even when the only other one has failed this request', () => {
    const { router, chosen } = routerOf([a, b]);
    router.record(a, limited);
    expect(chosen(new Set(['b']))).toEqual(['b']);
  });

  it('gets exactly one request when its time is over, until that one has an outcome', () => {
    const { router, chosen, pass } = routerOf([a, b]);
    router.record(a, limited);
    pass(30_000);
    const failedB = new Set(['b']);
    expect(router.choose('chat', failedB, anything)).toBe(a);
    for (let other = 0; other < 100; other++) expect(router.choose('chat', failedB, anything)).toBe(b);
    router.record(a, 'success');
    expect(chosen()).toEqual(['a', 'b']);
  });

  it('is out again when its probe fails', () => {
    const { router, chosen, pass } = routerOf([a, b]);
    router.record(a, limited);
    pass(30_000);
    router.choose('chat', new Set(['b']), anything);
    router.record(a, upstreamError('unavailable'));
    expect(chosen()).toEqual(['b']);
    expect(router.health().map(({ state }) => state)).toEqual(['cooling', 'serving']);
  });

  it('gets another probe when the client of the first one left', () => {
    const { router, pass } = routerOf([a, b]);
    router.record(a, limited);
    pass(30_000);
    const failedB = new Set(['b']);
    router.choose('chat', failedB, anything);
    router.withdraw(a);
    expect(router.choose('chat', failedB, anything)).toBe(a);
  });

  it('a client that leaves counts for nothing', () => {
    const { router, chosen } = routerOf([a, b]);
    for (let request = 0; request < 20; request++) {
      const deployment = router.choose('chat', nobodyFailed, anything);
      if (deployment !== undefined) router.withdraw(deployment);
    }
    expect(chosen()).toEqual(['a', 'b']);
  });
});

it('a deployment that states allowed_fails of its own goes by it, and the others by the router’s', () => {
  const strict = exampleDeployment('strict', { tolerance: { allowedFails: 0 } });
  const { router, cooled } = routerOf([strict, a, b, c], { allowedFails: 3 });
  for (const one of [strict, a]) router.record(one, upstreamError('unavailable'));
  expect(cooled).toEqual(['strict']);
});

describe('a cooldown that a sibling process announced', () => {
  it('takes the deployment out here, and is not announced again', () => {
    const { router, chosen, published, pass } = routerOf([a, b]);
    router.adopt('a', 10_000);
    expect(chosen()).toEqual(['b']);
    expect(published).toEqual([]);
    pass(10_000);
    expect(chosen()).toEqual(['a', 'b']);
  });

  it('never shortens one that stands, and lengthens it', () => {
    const { router, chosen, pass } = routerOf([a, b]);
    router.record(a, limited);
    router.adopt('a', 1_000);
    pass(2_000);
    expect(chosen()).toEqual(['b']);
    router.adopt('a', 60_000);
    pass(30_000);
    expect(chosen()).toEqual(['b']);
  });

  it('of a deployment that is not configured here is ignored', () => {
    const { router, chosen } = routerOf([a, b]);
    router.adopt('stranger', 10_000);
    expect(chosen()).toEqual(['a', 'b']);
    expect(router.health()).toHaveLength(2);
  });

  it('is ignored with disable_cooldowns', () => {
    const { router, chosen } = routerOf([a, b], { enabled: false });
    router.adopt('a', 10_000);
    expect(chosen()).toEqual(['a', 'b']);
  });
});

describe('panic', () => {
  it('when everything is out, everything is asked: a cooling deployment is a better answer than none', () => {
    const { router, chosen } = routerOf([a, b]);
    router.adopt('a', 10_000);
    router.adopt('b', 10_000);
    expect(chosen()).toEqual(['a', 'b']);
    expect(router.availability('chat', nobodyFailed, anything).eligible).toBe(2);
  });

  it('the one whose cooldown ends first is asked first, whatever its order; then the next one, then whoever the strategy says', () => {
    const { router } = routerOf([exampleDeployment('last', { order: 1 }), a, b]);
    router.adopt('last', 30_000);
    router.adopt('a', 20_000);
    router.adopt('b', 10_000);
    const one = () => router.choose('chat', nobodyFailed, anything)?.id;
    expect([one(), one(), one()]).toEqual(['b', 'a', 'last']);
    // All of them are being tried now.
    expect(one()).toBe('last');
  });

  it('a client that leaves does not end the cooldown of the deployment that it was sent to', () => {
    const { router, chosen, pass } = routerOf([a, b]);
    router.adopt('a', 20_000);
    router.adopt('b', 10_000);
    expect(router.choose('chat', new Set(['b']), anything)).toBe(a);
    router.withdraw(a);
    pass(10_000);
    expect(chosen()).toEqual(['b']);
  });

  it('its first success ends it for that deployment', () => {
    const { router, chosen } = routerOf([a, b]);
    router.adopt('a', 10_000);
    router.adopt('b', 10_000);
    const deployment = router.choose('chat', new Set(['b']), anything);
    expect(deployment).toBe(a);
    router.record(a, 'success');
    expect(chosen()).toEqual(['a']);
  });
});

it('in any history: somebody is always chosen, and nobody who is out while another may serve', () => {
  const ids = ['a', 'b', 'c', 'd'];
  const step = fc.oneof(
    fc.record({
      do: fc.constant('fail' as const),
      kind: fc.constantFrom('rate-limit' as const, 'unavailable' as const),
    }),
    fc.record({ do: fc.constant('succeed' as const) }),
    fc.record({ do: fc.constant('leave' as const) }),
    fc.record({
      do: fc.constant('adopt' as const),
      id: fc.constantFrom(...ids),
      forMs: fc.integer({ min: 1, max: 60_000 }),
    }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.nat(40_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), fc.subarray(ids), (steps, failedIds) => {
      const { router, pass } = routerOf(ids.map((id) => exampleDeployment(id)));
      const failed = new Set(failedIds);
      for (const action of steps) {
        if (action.do === 'adopt') router.adopt(action.id, action.forMs);
        else if (action.do === 'pass') pass(action.ms);
        else {
          const before = new Map(router.health().map(({ deployment, state }) => [deployment.id, state]));
          const { untried } = router.availability('chat', failed, anything);
          const chosen = router.choose('chat', failed, anything);
          if (chosen === undefined) throw new Error('nobody was chosen');
          if ([...before.values()].includes('serving')) expect(before.get(chosen.id)).not.toBe('cooling');
          if (untried > 0) expect(failed.has(chosen.id)).toBe(false);
          if (action.do === 'fail') router.record(chosen, upstreamError(action.kind));
          else if (action.do === 'succeed') router.record(chosen, 'success');
          else router.withdraw(chosen);
        }
      }
    }),
    { numRuns: 300 },
  );
});
