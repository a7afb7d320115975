/** Another configuration while requests run: nobody loses one, and what was learned stays known. */
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../gateway/config/load.ts';
import { prepareGeneration } from '../../gateway/generation.ts';
import { listen, openListener } from '../../gateway/listener.ts';
import { configFor, hello, masterKey } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { json, type Recorder, startRecorder } from '../support/recorder.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { type WiredGateway, wireGateway } from '../support/wired-gateway.ts';

const says = (content: string) => ({
  choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
});

let upstream: Recorder;
let directory: string;

beforeAll(async () => {
  upstream = await startRecorder(json(200, says('Hello!')));
  directory = await temporaryDirectory();
});
afterAll(() => upstream.close());

async function serving(config: string) {
  const gateway = await wireGateway({ databaseUrl: undefined, dataDirectory: directory, config });
  const server = openListener(gateway.ground.live.handle);
  const url = `http://127.0.0.1:${await listen(server, 0, '127.0.0.1')}`;
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await gateway.close();
  });
  const ask = (model: string, key = masterKey): Promise<Response> =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...hello, model }),
    });
  return { gateway, url, ask };
}

async function adopt({ ground }: WiredGateway, text: string): Promise<void> {
  const { config } = loadConfig(text, { source: 'config.yaml', environment: {} });
  (await prepareGeneration(ground, config)).commit();
}

const named = (name: string): string =>
  configFor([`${upstream.origin}/v1`]).replace('model_name: chat', `model_name: ${name}`);

describe('another configuration', () => {
  it('answers the next request, also on a connection that was open, while one that runs ends as it began', async () => {
    const { gateway, ask } = await serving(named('old'));
    let held: ServerResponse | undefined;
    upstream.behave = (_request, response) => {
      held = response;
    };
    const running = ask('old');
    await until(() => held !== undefined);
    upstream.behave = json(200, says('new'));
    await adopt(gateway, named('new'));
    expect((await ask('new')).status).toBe(200);
    const gone = await ask('old');
    expect([gone.status, await gone.text()]).toEqual([400, expect.stringContaining('Invalid model name')]);
    expect(gateway.ground.live.inFlight).toBe(1);
    held?.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(says('old')));
    const answer = await running;
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining(says('old'))]);
    await until(() => gateway.ground.live.inFlight === 0);
  });

  it('that cannot be built leaves the one before serving', async () => {
    const { gateway, ask } = await serving(named('chat'));
    upstream.behave = json(200, says('Hello!'));
    const broken = `${named('other')}
litellm_settings:
  cache: true
  cache_params: {type: redis, host: 127.0.0.1, port: 1, ssl: true, ssl_ca_certs: ${directory}/none.pem}
`;
    await expect(adopt(gateway, broken)).rejects.toThrow('none.pem');
    expect([(await ask('chat')).status, (await ask('other')).status]).toEqual([200, 400]);
  });

  it('has its own keys, limits of a request and pages', async () => {
    const { gateway, url, ask } = await serving(named('chat'));
    upstream.behave = json(200, says('Hello!'));
    await adopt(gateway, `${named('chat')}\ngeneral_settings: {max_request_size_mb: 0.00005}\n`);
    expect((await ask('chat')).status).toBe(413);
    await adopt(gateway, named('renamed'));
    const listed = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${masterKey}` } });
    expect(await listed.json()).toMatchObject({ data: [{ id: 'renamed' }] });
  });
});

describe('what was learned of deployments', () => {
  const two = (second: string) => configFor([`${upstream.origin}/v1`, second], 'router_settings: {cooldown_time: 60}');

  it('outlives the configuration by their ids, and goes with a deployment that is gone', async () => {
    const { gateway, ask } = await serving(two('http://127.0.0.1:9'));
    upstream.behave = json(200, says('Hello!'));
    const stateOf = (id: string) =>
      gateway.ground.live.current?.router.health().find(({ deployment }) => deployment.id === id)?.state;
    for (let round = 0; round < 100 && stateOf('deployment-1') === 'serving'; round++) await ask('chat');
    expect(stateOf('deployment-1')).toBe('cooling');
    const seen = gateway.ground.load.of('deployment-0').requests;
    expect(seen).toBeGreaterThan(0);
    await adopt(gateway, `${two('http://127.0.0.1:9')}\nlitellm_settings: {drop_params: true}\n`);
    expect(stateOf('deployment-1')).toBe('cooling');
    expect(gateway.ground.load.of('deployment-0').requests).toBe(seen);
    await adopt(gateway, configFor([`${upstream.origin}/v1`]));
    await adopt(gateway, two(`${upstream.origin}/v1`));
    expect(stateOf('deployment-1')).toBe('serving');
  });
});
