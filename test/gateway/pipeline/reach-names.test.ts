import { describe, expect, it } from 'vitest';
import { NotReached } from '../../../gateway/pipeline/not-reached.ts';
import { at, type World, worldOf } from './reach-world.ts';

describe('names', () => {
  const wild = at('wild', { modelGroup: 'openai/*', model: '*' });

  it('a pattern’s deployment is called with what the client put in the place of the star', async () => {
    const world = worldOf({ deployments: [wild] });
    await world.ask({ model: 'openai/gpt-4o' });
    expect(world.transport.calls).toEqual([{ host: 'wild', model: 'gpt-4o' }]);
  });

  it('a fallback that a pattern fits is called with the fallback’s name, not with the star', async () => {
    const world = worldOf({
      deployments: [at('a'), wild],
      recovery: { numRetries: 0, fallbacks: new Map([['chat', ['openai/gpt-4o-mini']]]) },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    await world.ask();
    expect(world.transport.calls.at(-1)).toEqual({ host: 'wild', model: 'gpt-4o-mini' });
  });

  it('a fallback list may be stored under the name the client asks for, an alias or a name that a pattern fits', async () => {
    const world = worldOf({
      deployments: [at('a'), wild, at('spare', { modelGroup: 'spare' })],
      aliases: { cheap: 'chat' },
      recovery: {
        numRetries: 0,
        fallbacks: new Map([
          ['openai/gpt-4o', ['spare']],
          ['cheap', ['spare']],
        ]),
      },
    });
    world.transport.behaviour = (host) => (host === 'spare' ? 200 : 500);
    for (const model of ['openai/gpt-4o', 'cheap']) {
      expect((await world.ask({ model })).deployment?.id).toBe('spare');
    }
    expect(await world.ask({ model: 'openai/o3' })).toBeInstanceOf(NotReached);
    expect(await world.ask({ model: 'chat' })).toBeInstanceOf(NotReached);
  });

  it('a fallback list under a name without a provider holds for the name with it, unless that has its own', async () => {
    const world = worldOf({
      deployments: [wild, at('spare', { modelGroup: 'spare' }), at('own', { modelGroup: 'own' })],
      recovery: {
        numRetries: 0,
        fallbacks: new Map([
          ['o3', ['spare']],
          ['gpt-4o', ['spare']],
          ['openai/gpt-4o', ['own']],
        ]),
      },
    });
    world.transport.behaviour = (host) => (host === 'spare' || host === 'own' ? 200 : 500);
    expect((await world.ask({ model: 'openai/o3' })).deployment?.id).toBe('spare');
    expect((await world.ask({ model: 'openai/gpt-4o' })).deployment?.id).toBe('own');
  });

  it('a name that a client makes up for a pattern and that is not found takes no deployment out of rotation', async () => {
    const twin = at('twin', { modelGroup: 'openai/*', model: '*' });
    const world = worldOf({ deployments: [wild, twin] });
    world.transport.behaviour = () => 404;
    for (let request = 0; request < 10; request++) await world.ask({ model: `openai/invented-${request}` });
    expect(world.cooled).toEqual([]);
    world.transport.behaviour = () => 401;
    await world.ask({ model: 'openai/gpt-4o' });
    // Told by its configured name: a name of the client's would make a metric for each that anybody invents.
    expect(world.cooled).toMatchObject([{ model: '*' }]);
  });

  it('fallbacks that a client makes up take no memory', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 0 } });
    world.transport.behaviour = () => 500;
    for (let request = 0; request < 50; request++) {
      await world.ask({ overrides: { disableFallbacks: false, fallbacks: [{ model: `invented-${request}` }] } });
    }
    expect([...world.budget.groups]).toEqual(['chat']);
  });

  it('an alias and its group share one retry budget', async () => {
    const world = worldOf({ deployments: [at('a')], aliases: { cheap: 'chat' } });
    await world.ask({ model: 'cheap' });
    await world.ask();
    expect([...world.budget.groups]).toEqual(['chat']);
  });
});

describe('a fallback', () => {
  const hosts = (world: World): string[] => world.transport.calls.map(({ host }) => host);
  const naming = (...names: string[]) => ({
    overrides: { disableFallbacks: false, fallbacks: names.map((model) => ({ model })) },
  });

  it.each([
    ['an alias of the group that failed', 'cheap'],
    ['the id of the deployment that failed', 'a'],
    ['the model string of the deployment that failed', 'openai/upstream-model'],
  ])('that names %s is passed over: nobody is asked twice for the same', async (_case, name) => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare', model: 'other' })],
      aliases: { cheap: 'chat' },
      recovery: { numRetries: 0 },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    const result = await world.ask(naming(name, 'spare'));
    expect(hosts(world)).toEqual(['a', 'b']);
    expect(result).toMatchObject({ fallbacks: 1 });
    // The same from a config.
    const configured = worldOf({
      deployments: [at('a')],
      aliases: { cheap: 'chat' },
      recovery: { numRetries: 0, fallbacks: new Map([['chat', [name]]]) },
    });
    configured.transport.behaviour = () => 500;
    await configured.ask();
    expect(hosts(configured)).toEqual(['a']);
  });

  it('that names a deployment which this request has not tried is asked, although its group failed', async () => {
    const world = worldOf({ deployments: [at('a', { order: 1 }), at('b', { order: 2 })], recovery: { numRetries: 0 } });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    expect(await world.ask(naming('b'))).toMatchObject({ fallbacks: 1, deployment: { id: 'b' } });
  });

  it('that shares a deployment with the group that failed asks the others first', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare', model: 'upstream-model', weight: 0 })],
      recovery: { numRetries: 0 },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    for (let request = 0; request < 20; request++) {
      expect(await world.ask(naming('openai/upstream-model'))).toMatchObject({ deployment: { id: 'b' } });
    }
  });

  it('to another model of the same pattern is asked, and one to the same model is not', async () => {
    const wild = at('wild', { modelGroup: 'openai/*', model: '*' });
    const world = worldOf({ deployments: [wild], aliases: { mini: 'openai/gpt-mini' }, recovery: { numRetries: 0 } });
    world.transport.behaviour = () => 500;
    await world.ask({ model: 'openai/gpt-mini', ...naming('mini', 'openai/gpt-large', 'openai/gpt-large') });
    expect(world.transport.calls.map(({ model }) => model)).toEqual(['gpt-mini', 'gpt-large']);
  });

  it('that names a cooling deployment by its id is asked all the same', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' }), at('c', { modelGroup: 'spare' })],
      recovery: { numRetries: 0 },
    });
    world.router.adopt('b', 60_000);
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 200);
    expect(await world.ask(naming('b'))).toMatchObject({ deployment: { id: 'b' } });
  });

  it('as an object changes the members it names and no other, and the next one starts from the client’s own request', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' }), at('c', { modelGroup: 'last' })],
      recovery: { numRetries: 0 },
    });
    world.transport.behaviour = (host) => (host === 'c' ? 200 : 500);
    const shorter = [{ role: 'user', content: 'Hi' }];
    const result = await world.ask({
      overrides: {
        disableFallbacks: false,
        fallbacks: [{ model: 'spare', members: { messages: shorter, temperature: 0 } }, { model: 'last' }],
      },
    });
    const messages = [{ role: 'user', content: 'Hello!' }];
    expect(world.transport.bodies).toEqual([
      { model: 'upstream-model', messages },
      { model: 'upstream-model', messages: shorter, temperature: 0 },
      { model: 'upstream-model', messages },
    ]);
    expect(result).toMatchObject({ fallbacks: 2, deployment: { id: 'c' } });
  });

  it('as an object may send a shorter prompt to the same model, once', async () => {
    const world = worldOf({ deployments: [at('a')], recovery: { numRetries: 2 } });
    world.transport.behaviour = () => 413;
    const shorter = { model: 'chat', members: { messages: [{ role: 'user', content: 'Hi' }] } };
    await world.ask({ overrides: { disableFallbacks: false, fallbacks: [shorter, { model: 'chat' }] } });
    expect(world.transport.calls).toHaveLength(2);
  });

  it('that fails is taken out of rotation like any other deployment (PR #34416)', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' }), at('c', { modelGroup: 'spare' })],
      recovery: { numRetries: 0, fallbacks: new Map([['chat', ['spare']]]) },
      routing: { strategy: 'least-busy' },
    });
    world.transport.behaviour = (host) => (host === 'c' ? 200 : 401);
    for (let request = 0; request < 10; request++) await world.ask();
    expect(world.cooled.map(({ id }) => id)).toContain('b');
  });

  it('is not asked with disable_fallbacks, and no more than max_fallbacks are', async () => {
    const groups = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6', 'g7'];
    const world = worldOf({
      deployments: ['chat', ...groups].map((modelGroup) => at(modelGroup, { modelGroup })),
      recovery: { numRetries: 0, fallbacks: new Map([['chat', groups]]) },
    });
    world.transport.behaviour = () => 500;
    await world.ask();
    expect(hosts(world)).toEqual(['chat', 'g1', 'g2', 'g3', 'g4', 'g5']);
    await world.ask({ overrides: { disableFallbacks: true, fallbacks: [{ model: 'g1' }] } });
    expect(hosts(world).slice(6)).toEqual(['chat']);
  });

  it('that failed too: its own error is the one the client gets', async () => {
    const world = worldOf({
      deployments: [at('a'), at('b', { modelGroup: 'spare' })],
      recovery: { numRetries: 0, fallbacks: new Map([['chat', ['spare']]]) },
    });
    world.transport.behaviour = (host) => (host === 'a' ? 500 : 404);
    expect(await world.ask()).toMatchObject({ last: { status: 404 }, deployment: { id: 'b' } });
  });
});
