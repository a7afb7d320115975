import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { AwsCredentialsUnavailable, awsCredentialSource } from '../../../gateway/cluster/aws-credentials.ts';
import { serveHttp } from '../providers/upstream-server.ts';

const minute = 60_000;
const start = Date.parse('2026-01-02T03:00:00Z');

const signing = { region: 'eu-central-1', signSts: () => Promise.reject(new Error('nothing is signed here')) };

/** A role whose credentials are numbered, and are valid for an hour from the time of the question. */
async function roleServer(over: { listener?: RequestListener; environment?: Record<string, string> } = {}) {
  const clock = { ms: start };
  const seen: (string | undefined)[] = [];
  const failures: string[] = [];
  const answers: RequestListener = (_request, response) => {
    response.end(
      JSON.stringify({
        AccessKeyId: `ASIA${seen.length}`,
        SecretAccessKey: 'secret',
        Token: 'session',
        Expiration: new Date(clock.ms + 60 * minute).toISOString(),
        RoleArn: 'arn:aws:iam::123456789012:role/gateway',
      }),
    );
  };
  const state = { listener: over.listener ?? answers };
  const server = await serveHttp((request, response) => {
    seen.push(request.headers.authorization);
    state.listener(request, response);
  });
  const source = awsCredentialSource({
    environment: { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.origin}/v1/credentials`, ...over.environment },
    ...signing,
    now: () => clock.ms,
    onRefreshFailed: (error) => failures.push(error.message),
    timeoutMs: 300,
  });
  return { source, clock, seen, failures, state, answers };
}

const idOf = async (source: () => Promise<{ accessKeyId: string }>) => (await source()).accessKeyId;
/** Until work in the background has had its say. */
const settled = (condition: () => boolean) => expect.poll(condition, { interval: 5 }).toBe(true);

describe('where credentials come from', () => {
  const environment = {
    AWS_ACCESS_KEY_ID: 'AKIA-env',
    AWS_SECRET_ACCESS_KEY: 'secret-env',
    AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://127.0.0.1:1/never-asked',
  };
  const base = { ...signing, now: () => 0, onRefreshFailed: () => undefined };

  it('stated ones first, then the environment, then the role', async () => {
    const stated = { accessKeyId: 'AKIA-stated', secretAccessKey: 's' };
    expect(await awsCredentialSource({ ...base, stated, environment })()).toEqual(stated);
    expect(await awsCredentialSource({ ...base, environment })()).toEqual({
      accessKeyId: 'AKIA-env',
      secretAccessKey: 'secret-env',
    });
    const temporary = { ...environment, AWS_SESSION_TOKEN: 'session' };
    expect(await awsCredentialSource({ ...base, environment: temporary })()).toMatchObject({ sessionToken: 'session' });
  });

  it('none at all: the message says what to do', async () => {
    const source = awsCredentialSource({ ...base, environment: { AWS_ACCESS_KEY_ID: 'only-half' } });
    await expect(source()).rejects.toThrow(AwsCredentialsUnavailable);
    await expect(source()).rejects.toThrow(/AWS_ACCESS_KEY_ID/);
  });

  it.each([
    'https://example.com/credentials',
    'http://169.254.169.254/latest/meta-data',
    'http://10.0.0.1/',
    'http://127.0.0.1.example.com/',
    'file:///etc/passwd',
    'nonsense',
  ])('%s is never asked: the token would leave the machine', (address) => {
    const environmentOf = { AWS_CONTAINER_CREDENTIALS_FULL_URI: address };
    expect(() => awsCredentialSource({ ...base, environment: environmentOf })).toThrow(AwsCredentialsUnavailable);
  });

  it.each([
    'http://localhost/x',
    'http://[::1]/x',
    'http://169.254.170.23/v1/credentials',
    'http://[fd00:ec2::23]/v1/credentials',
  ])('%s may be asked', (address) => {
    const environmentOf = { AWS_CONTAINER_CREDENTIALS_FULL_URI: address };
    expect(() => awsCredentialSource({ ...base, environment: environmentOf })).not.toThrow();
  });

  it('a relative address is one of the agent of ECS, whatever it says', () => {
    const environmentOf = { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '//example.com/x' };
    expect(() => awsCredentialSource({ ...base, environment: environmentOf })).not.toThrow();
  });
});

describe('the token', () => {
  it('is sent from the environment', async () => {
    const { source, seen } = await roleServer({ environment: { AWS_CONTAINER_AUTHORIZATION_TOKEN: 'Basic abc' } });
    await source();
    expect(seen).toEqual(['Basic abc']);
  });

  it('is read from its file every time, since it is replaced there', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-token-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    const file = join(directory, 'token');
    await writeFile(file, 'first\n');
    const { source, seen, clock } = await roleServer({ environment: { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file } });
    await source();
    await writeFile(file, 'second');
    clock.ms += 61 * minute;
    await source();
    expect(seen).toEqual(['first', 'second']);
  });

  it('with several lines is refused: it would be several headers', async () => {
    const { source, seen } = await roleServer({ environment: { AWS_CONTAINER_AUTHORIZATION_TOKEN: 'a\r\nx-evil: b' } });
    await expect(source()).rejects.toThrow('several lines');
    expect(seen).toEqual([]);
  });
});

describe('the role of a container', () => {
  it('is asked once, however many wait', async () => {
    const { source, seen } = await roleServer();
    const all = await Promise.all(Array.from({ length: 20 }, () => source()));
    expect(new Set(all).size).toBe(1);
    expect(all[0]).toEqual({ accessKeyId: 'ASIA1', secretAccessKey: 'secret', sessionToken: 'session' });
    await source();
    expect(seen).toHaveLength(1);
  });

  it('is asked again in the background before the end; nobody waits', async () => {
    const { source, seen, clock } = await roleServer();
    await source();
    clock.ms += 54 * minute;
    expect(await idOf(source)).toBe('ASIA1');
    expect(seen).toHaveLength(1);
    clock.ms += 2 * minute;
    expect(await idOf(source)).toBe('ASIA1');
    await settled(() => seen.length === 2);
    await expect.poll(() => idOf(source)).toBe('ASIA2');
    expect(seen).toHaveLength(2);
  });

  it('that fails is tolerated while the credentials are valid, and asked again after a while', async () => {
    const { source, seen, clock, failures, state, answers } = await roleServer();
    await source();
    clock.ms += 56 * minute;
    state.listener = (_request, response) => response.writeHead(500).end('{"message":"no"}');
    expect(await idOf(source)).toBe('ASIA1');
    await settled(() => failures.length === 1);
    expect(failures[0]).toContain('status 500');
    expect(await idOf(source)).toBe('ASIA1');
    expect(seen).toHaveLength(2);
    state.listener = answers;
    clock.ms += 11_000;
    expect(await idOf(source)).toBe('ASIA1');
    await expect.poll(() => idOf(source)).toBe('ASIA3');
  });

  it('is waited for when what is at hand is about to end, and its failure is told then', async () => {
    const { source, clock, state, answers } = await roleServer();
    await source();
    clock.ms += 59.9 * minute;
    state.listener = (_request, response) => response.writeHead(403).end();
    await expect(source()).rejects.toThrow('status 403');
    state.listener = answers;
    expect(await idOf(source)).toBe('ASIA3');
  });

  it('that is silent holds a request no longer than the request itself may last, and the others wait on', async () => {
    const { source, seen, state, answers } = await roleServer({ listener: () => undefined });
    const client = new AbortController();
    const left = source(client.signal);
    const other = source();
    client.abort(new Error('the client left'));
    await expect(left).rejects.toThrow('the client left');
    await expect(source(client.signal)).rejects.toThrow('the client left');
    await expect(other).rejects.toThrow(AwsCredentialsUnavailable);
    expect(seen).toHaveLength(1);
    state.listener = answers;
    expect(await source(new AbortController().signal)).toMatchObject({ secretAccessKey: 'secret' });
  });

  it('that is silent is given up in time', async () => {
    const { source, seen } = await roleServer({ listener: () => undefined });
    await expect(source()).rejects.toThrow(AwsCredentialsUnavailable);
    expect(seen).toHaveLength(1);
  });

  it.each<[string, RequestListener, string]>([
    [
      'a redirect',
      (_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
      'redirect',
    ],
    ['no JSON', (_request, response) => response.end('<html>'), 'not JSON'],
    ['no keys', (_request, response) => response.end('{"AccessKeyId":"A","Token":"t"}'), 'lacks SecretAccessKey'],
    ['a list', (_request, response) => response.end('[]'), 'lacks'],
    [
      'no time',
      (_request, response) => response.end('{"AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"x"}'),
      'Expiration',
    ],
    [
      'old ones',
      (_request, response) =>
        response.end('{"AccessKeyId":"A","SecretAccessKey":"hush","Expiration":"2020-01-01T00:00:00Z"}'),
      'expired',
    ],
    ['too much', (_request, response) => response.end('x'.repeat(70_000)), 'too large'],
  ])('that answers with %s gives an error without secrets', async (_name, listener, message) => {
    const { source } = await roleServer({ listener });
    await expect(source()).rejects.toThrow(message);
    await expect(source()).rejects.not.toThrow(/hush/);
  });

  it('without an end is asked once', async () => {
    const { source, seen, clock } = await roleServer({
      listener: (_request, response) => response.end('{"AccessKeyId":"A","SecretAccessKey":"s"}'),
    });
    expect(await source()).toEqual({ accessKeyId: 'A', secretAccessKey: 's' });
    clock.ms += 1000 * 60 * minute;
    await source();
    expect(seen).toHaveLength(1);
  });
});
