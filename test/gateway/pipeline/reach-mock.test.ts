import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { ModelRequest } from '../../../gateway/domain/request.ts';
import { at, worldOf } from './reach-world.ts';

describe('what a client pretends', () => {
  const failing = (kind: 'rate-limit' | 'timeout'): Partial<ModelRequest> =>
    kind === 'rate-limit' ? { mock: { firstAttempt: { is: kind } } } : { mock: { everyAttempt: { is: kind } } };

  it('is sent to nobody, and says nothing about a deployment: none is cooled, measured or counted', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 0 }, cooldown: { allowedFails: 0 } });
    for (let request = 0; request < 20; request++) {
      const content = request % 2 === 0 ? 'Hi' : 'litellm.InternalServerError';
      await world.ask({ mock: { everyAttempt: { is: 'answer', content } } });
    }
    expect(world.transport.calls).toEqual([]);
    expect(world.cooled).toEqual([]);
    expect(world.load.of('a')).toMatchObject({ inFlight: 0, secondsPerToken: undefined });
  });

  it('mock_testing_fallbacks: nobody of the group is asked, its fallback is, for real', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' })],
      recovery: { fallbacks: new Map([['chat', ['spare']]]) },
    });
    expect(await world.ask({ mock: { groupFails: 'unavailable' } })).toMatchObject({
      deployment: { id: 'b' },
      attempts: 1,
      fallbacks: 1,
    });
    expect(world.transport.calls.map(({ host }) => host)).toEqual(['b']);
  });

  it.each([
    ['context-window', 'long'],
    ['content-policy', 'free'],
  ] as const)('a mock %s failure goes to its own list', async (groupFails, id) => {
    const world = worldOf({
      deployments: [at('a'), at('long', { modelGroup: 'long' }), at('free', { modelGroup: 'free' })],
      recovery: {
        contextWindowFallbacks: new Map([['chat', ['long']]]),
        contentPolicyFallbacks: new Map([['chat', ['free']]]),
      },
    });
    expect(await world.ask({ mock: { groupFails } })).toMatchObject({ deployment: { id } });
  });

  it('mock_testing_fallbacks without a fallback is the pretended error, and costs nothing', async () => {
    const world = worldOf({ deployments: [at('a')] });
    const failed = await world.ask({ mock: { groupFails: 'unavailable' } });
    expect(failed).toMatchObject({ attempts: 0, last: { status: 500, mayBeBilled: false } });
    expect(world.transport.calls).toEqual([]);
  });

  it('mock_testing_rate_limit_error: the first attempt fails, the retry is real', async () => {
    const world = worldOf({ deployments: [at('a'), at('b')], recovery: { numRetries: 2 } });
    expect(await world.ask(failing('rate-limit'))).toMatchObject({ attempts: 2, fallbacks: 0 });
    expect(world.transport.calls).toHaveLength(1);
    expect(world.cooled).toEqual([]);
  });

  it('mock_timeout: each attempt takes its whole time on the injected clock and fails', async () => {
    const world = worldOf({ deployments: [at('a', { timeoutSeconds: 7 })], recovery: { numRetries: 0 } });
    const running = world.ask(failing('timeout'));
    await turn();
    let ended = false;
    void running.then(() => {
      ended = true;
    });
    await world.clock.pass(6_999);
    expect(ended).toBe(false);
    await world.clock.pass(1);
    expect(await running).toMatchObject({ last: { kind: 'timeout', status: 408 } });
    expect(world.transport.calls).toEqual([]);
  });

  it('mock_response of a deployment is an attempt like any other: its failures cool it', async () => {
    const mock = { is: 'answer', content: 'litellm.RateLimitError' } as const;
    const world = worldOf({ deployments: [at('a', { mock, order: 1 }), at('b', { order: 2 })] });
    expect(await world.ask()).toMatchObject({ deployment: { id: 'b' }, attempts: 2 });
    expect(world.cooled.map(({ id }) => id)).toEqual(['a']);
  });
});
