/** Changes of configurations and models, asked for in a region that does not write: they are made where they can be. */
import fastify, { type FastifyInstance } from 'fastify';
import { describe, expect, it, onTestFinished } from 'vitest';
import { writeRouteOf } from '../../../gateway/cluster/write-route.ts';
import type { ConfigAdministration, ConfigVersionFacts } from '../../../gateway/domain/config-administration.ts';
import { openPolicy } from '../../../gateway/domain/key-policy.ts';
import { type RegionDesk, WriterUnreachable } from '../../../gateway/domain/region.ts';
import type { Caller } from '../../../gateway/domain/request.ts';
import { registerConfigRoutes } from '../../../gateway/http/config-routes.ts';
import { toErrorAnswer } from '../../../gateway/http/error-envelope.ts';
import { registerManagementRoutes } from '../../../gateway/http/management/route.ts';
import { managementRoutes } from '../../../gateway/http/management/routes.ts';
import { exampleCaller } from '../examples.ts';

const administrator: Caller = { ...exampleCaller, role: 'admin', keyAlias: 'the administrator' };
const text = 'model_list: []\n';

/** What was done to the configuration of one region. */
interface Done {
  readonly what: string;
  readonly by: string;
}

function administrationOf(done: Done[]): ConfigAdministration {
  const change = async (what: string, by: string): Promise<ConfigVersionFacts> => {
    done.push({ what, by });
    return { version: 7n, sha256: 'f'.repeat(64), source: what, createdBy: by, createdAt: new Date(0) };
  };
  const nothing = () => Promise.reject(new Error('nobody asked for this'));
  return {
    standing: () => expect.unreachable(),
    look: nothing,
    status: () => ({}),
    reload: async () => {
      done.push({ what: 'reload', by: 'anybody' });
      return {};
    },
    history: nothing,
    textOf: nothing,
    rollback: (version, by) => change(`rollback to ${version}`, by),
    push: (pushed, by) => change(`push of ${pushed.length}`, by),
  };
}

function region(name: string, caller: Caller, done: Done[], desk: RegionDesk): FastifyInstance {
  const app = fastify();
  onTestFinished(() => app.close());
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, next) => next(null, body));
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, next) => next(null, body));
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request) => {
    request.caller = caller;
  });
  app.setErrorHandler((error, _request, reply) => {
    const answer = toErrorAnswer(error);
    return reply.code(answer.status).headers(answer.headers).send(answer.body);
  });
  registerConfigRoutes(app, () => administrationOf(done), desk);
  if (name === 'writer') {
    for (const path of ['/model/new', '/model/update', '/model/delete']) {
      app.post(path, (request, reply) => {
        done.push({ what: path, by: String(request.headers['x-holdfast-forwarded-by']) });
        return reply.send({});
      });
    }
  } else {
    const options = { policy: openPolicy, accessGroups: new Map(), sealSecret: undefined, management: undefined };
    registerManagementRoutes(
      app,
      managementRoutes,
      { ...options, priceEntry: () => null, modelFaults: () => [] },
      desk,
    );
  }
  return app;
}

/** Two regions of which one writes; `reaches` says whether the other gets through to it. */
function twoRegions(caller: Caller = administrator, reaches = true) {
  const atWriter: Done[] = [];
  const atStandby: Done[] = [];
  const state = {
    standing: 'standby',
    epoch: 3,
    writer: 'writer',
    phase: 'held',
    leaseRemainingMs: 1,
    replayLagMs: 0,
    candidates: undefined,
    ttlSeconds: 15,
    faults: [],
  } as const;
  const deskOf = (name: string): RegionDesk => ({
    region: name,
    state,
    candidateLagsMs: new Map(),
    writeRoute: (forwarded) => writeRouteOf(state, name, () => true, forwarded),
    look: () => Promise.resolve(),
    passOn: async (_region, { method, path, headers, body }) => {
      if (!reaches) throw new WriterUnreachable('writer did not answer: ECONNREFUSED', false);
      expect(method).toBe('POST');
      const answer = await writer.inject({
        method: 'POST',
        url: path,
        headers: { ...headers, 'x-holdfast-forwarded-by': name },
        ...(body === undefined ? {} : { payload: body }),
      });
      const type = answer.headers['content-type'];
      return { status: answer.statusCode, headers: { 'content-type': String(type) }, body: answer.rawPayload };
    },
    answer: () => Promise.resolve(undefined),
    deny: () => Promise.resolve(),
  });
  const writer = region('writer', caller, atWriter, deskOf('writer'));
  const standby = region('standby', caller, atStandby, deskOf('standby'));
  return { standby, atWriter, atStandby };
}

const asYaml = { 'content-type': 'application/yaml' };

describe('in a standby region', () => {
  it('a configuration that is pushed is stored by the writer, as it was sent and in the name of whoever sent it', async () => {
    const { standby, atWriter, atStandby } = twoRegions();
    const answer = await standby.inject({ method: 'POST', url: '/config/push', headers: asYaml, payload: text });
    expect([answer.statusCode, answer.json()]).toEqual([200, expect.objectContaining({ version: 7 })]);
    expect(answer.headers['idempotency-key']).toBeDefined();
    expect([atWriter, atStandby]).toEqual([[{ what: `push of ${text.length}`, by: 'the administrator' }], []]);
  });

  it('a rollback is done by the writer', async () => {
    const { standby, atWriter, atStandby } = twoRegions();
    const answer = await standby.inject({ method: 'POST', url: '/config/rollback', payload: { version: 4 } });
    expect([answer.statusCode, atWriter, atStandby]).toEqual([
      200,
      [{ what: 'rollback to 4', by: 'the administrator' }],
      [],
    ]);
  });

  it.each(['/model/new', '/model/update', '/model/delete'])('%s goes to the writer', async (url) => {
    const { standby, atWriter } = twoRegions();
    expect((await standby.inject({ method: 'POST', url, payload: { id: 'x' } })).statusCode).toBe(200);
    expect(atWriter).toEqual([{ what: url, by: 'standby' }]);
  });

  it('what the writer refuses is refused in its words', async () => {
    const { standby, atWriter } = twoRegions();
    const answer = await standby.inject({ method: 'POST', url: '/config/rollback', payload: { version: 'x' } });
    expect([answer.statusCode, answer.body, atWriter]).toEqual([
      400,
      expect.stringContaining('number of a version'),
      [],
    ]);
    const caller = twoRegions({ ...administrator, role: 'caller' });
    const push = await caller.standby.inject({ method: 'POST', url: '/config/push', headers: asYaml, payload: text });
    expect([push.statusCode, caller.atWriter]).toEqual([403, []]);
  });

  it('a writer that cannot be reached is named, with 503 and the word that nothing was changed', async () => {
    const { standby, atStandby } = twoRegions(administrator, false);
    const answer = await standby.inject({ method: 'POST', url: '/config/push', headers: asYaml, payload: text });
    expect([answer.statusCode, answer.json()]).toEqual([
      503,
      {
        error: expect.objectContaining({
          type: 'writer_unreachable',
          message: expect.stringContaining('Nothing was changed'),
        }),
      },
    ]);
    expect(answer.headers).toMatchObject({
      'retry-after': '5',
      'x-holdfast-writer': 'writer',
      'x-holdfast-epoch': '3',
    });
    expect(atStandby).toEqual([]);
  });

  it('a reload looks at what is there, and asks nobody else', async () => {
    const { standby, atWriter, atStandby } = twoRegions(administrator, false);
    expect((await standby.inject({ method: 'POST', url: '/config/reload' })).statusCode).toBe(200);
    expect([atWriter, atStandby]).toEqual([[], [{ what: 'reload', by: 'anybody' }]]);
  });
});
