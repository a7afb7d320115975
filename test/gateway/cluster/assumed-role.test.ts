import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AwsCredentialsUnavailable, awsCredentialSource } from '../../../gateway/cluster/aws-credentials.ts';
import type { AwsRole } from '../../../gateway/domain/deployment.ts';
import { sign } from '../../../gateway/providers/bedrock/sign.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { refusal, type StsState, stsServer } from './sts-server.ts';

const directory = await temporaryDirectory();
const minute = 60_000;
const start = Date.parse('2026-01-02T03:00:00Z');
const arn = 'arn:aws:iam::123456789012:role/bedrock';
const stated = { accessKeyId: 'AKIAOWN', secretAccessKey: 'own-secret' };
const region = 'eu-central-1';

async function assumed(
  over: {
    role?: Partial<AwsRole>;
    /** Undefined = none are stated. */
    keys?: typeof stated | undefined;
    /** @param origin of the service. */
    environment?: (origin: string) => Record<string, string>;
    noRole?: boolean;
  } = { keys: stated },
) {
  const state: StsState = {
    ms: start,
    secrets: new Map([
      ['AKIAOWN', 'own-secret'],
      ['ASIA1', 'secret/1&more'],
    ]),
    reply: 'session',
  };
  const sts = await stsServer(state);
  const failures: string[] = [];
  const role = { arn, sessionName: 'gateway', stsOrigin: sts.origin, ...over.role };
  const source = awsCredentialSource({
    ...(over.keys === undefined ? {} : { stated: over.keys }),
    ...(over.noRole === true ? {} : { role }),
    environment: over.environment?.(sts.origin) ?? {},
    region,
    now: () => state.ms,
    onRefreshFailed: (error) => failures.push(error.message),
    signSts: (call, credentials, signedFor) => sign(call, credentials, signedFor, new Date(state.ms), 'sts'),
    stsTimeoutMs: 300,
  });
  return { source, state, failures, questions: sts.questions };
}

const webForm = { Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: arn, DurationSeconds: '3600' };

describe('a role', () => {
  it('is assumed by a signed form, for an hour', async () => {
    const { source, questions } = await assumed({ keys: stated, role: { externalId: 'a&b =c' } });
    expect(await source()).toEqual({
      accessKeyId: 'ASIA1',
      secretAccessKey: 'secret/1&more',
      sessionToken: 'token/1+x==',
    });
    expect(questions).toEqual([
      {
        signedBy: 'AKIAOWN',
        form: {
          Action: 'AssumeRole',
          Version: '2011-06-15',
          RoleArn: arn,
          RoleSessionName: 'gateway',
          DurationSeconds: '3600',
          ExternalId: 'a&b =c',
        },
      },
    ]);
  });

  it('is assumed by whoever the environment says this process is', async () => {
    const { source, questions } = await assumed({
      environment: () => ({ AWS_ACCESS_KEY_ID: 'AKIAOWN', AWS_SECRET_ACCESS_KEY: 'own-secret' }),
    });
    await source();
    expect(questions).toMatchObject([{ signedBy: 'AKIAOWN' }]);
  });

  it('is assumed once, however many wait, and again before its end, in the background', async () => {
    const { source, questions, state } = await assumed();
    const all = await Promise.all(Array.from({ length: 20 }, () => source()));
    expect(new Set(all.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(['ASIA1']));
    expect(questions).toHaveLength(1);
    state.ms += 56 * minute;
    expect(await source()).toMatchObject({ accessKeyId: 'ASIA1' });
    await expect.poll(async () => (await source()).accessKeyId).toBe('ASIA2');
    expect(questions).toHaveLength(2);
  });

  it('that cannot be assumed again is used to its end; then calls fail with the code and nothing more', async () => {
    const { source, failures, state } = await assumed();
    await source();
    state.reply = refusal('AccessDenied', 'User: arn:aws:iam::1:user/x is not authorized to perform: sts:AssumeRole');
    state.ms += 56 * minute;
    expect(await source()).toMatchObject({ accessKeyId: 'ASIA1' });
    await expect.poll(() => failures).toEqual(['the role bedrock could not be assumed: AccessDenied']);
    state.ms += 4 * minute;
    const failed: unknown = await source().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(AwsCredentialsUnavailable);
    expect(failed).toMatchObject({
      message: 'the role bedrock could not be assumed: AccessDenied',
      cause: { message: expect.stringContaining('is not authorized') },
    });
  });

  it.each<[string, StsState['reply'], string]>([
    ['an unknown key', refusal('InvalidClientTokenId', 'The security token is invalid.'), 'InvalidClientTokenId'],
    ['HTML', { status: 502, body: '<html>Bad Gateway</html>' }, 'status 502'],
    ['nothing', { status: 200, body: '' }, 'lacks AccessKeyId'],
    [
      'half',
      { status: 200, body: '<AccessKeyId>A</AccessKeyId><SecretAccessKey>hush</SecretAccessKey>' },
      'SessionToken',
    ],
    [
      'a session that has ended already',
      {
        status: 200,
        body: '<AccessKeyId>A</AccessKeyId><SecretAccessKey>hush</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2020-01-01T00:00:00Z</Expiration>',
      },
      'check the clocks',
    ],
    ['too much', { status: 200, body: 'x'.repeat(70_000) }, 'too large'],
    ['silence', 'silence', 'timeout'],
  ])('%s is an error in time, without secrets', async (_case, reply, words) => {
    const { source, state } = await assumed();
    state.reply = reply;
    const failed: unknown = await source().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(AwsCredentialsUnavailable);
    expect(String(failed)).toContain(words);
    expect(String(failed)).not.toMatch(/hush|own-secret/);
  });

  it('a request that may not wait any longer leaves; the others get the session', async () => {
    const { source, state } = await assumed();
    state.reply = 'silence';
    const client = new AbortController();
    const left = source(client.signal);
    client.abort(new Error('the client left'));
    await expect(left).rejects.toThrow('the client left');
    await expect(source()).rejects.toThrow(AwsCredentialsUnavailable);
    state.reply = 'session';
    await expect(source()).resolves.toMatchObject({ sessionToken: expect.stringContaining('token/') });
  });
});

describe('a web identity', () => {
  it('is shown unsigned, read anew from its file for every session', async () => {
    const file = join(directory, 'replaced');
    await writeFile(file, 'first.jwt.token\n');
    const { source, questions, state } = await assumed({ role: { webIdentity: { file } } });
    await source();
    await writeFile(file, 'second.jwt.token');
    state.ms += 60 * minute;
    await source();
    expect(questions).toEqual(
      ['first', 'second'].map((word) => ({
        signedBy: undefined,
        form: { ...webForm, RoleSessionName: 'gateway', WebIdentityToken: `${word}.jwt.token` },
      })),
    );
  });

  it('whose file is missing is an error that names the role and not the secret', async () => {
    const { source, questions } = await assumed({ role: { webIdentity: { file: '/nowhere/token' } } });
    await expect(source()).rejects.toThrow('the role bedrock could not be assumed: the file of its web identity token');
    expect(questions).toEqual([]);
  });

  const irsa = (file: string) => (origin: string) => ({
    AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/pod',
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ENDPOINT_URL_STS: origin,
  });

  it('of the environment (IRSA) is who this process is, and may assume a further role', async () => {
    const file = join(directory, 'token');
    await writeFile(file, 'a.b.c');
    const alone = await assumed({ noRole: true, environment: irsa(file) });
    expect(await alone.source()).toMatchObject({ accessKeyId: 'ASIA1' });
    const chained = await assumed({ environment: irsa(file) });
    expect(await chained.source()).toMatchObject({ accessKeyId: 'ASIA2' });
    expect(chained.questions).toMatchObject([
      { form: { Action: 'AssumeRoleWithWebIdentity', RoleArn: 'arn:aws:iam::123456789012:role/pod' } },
      { form: { Action: 'AssumeRole', RoleArn: arn }, signedBy: 'ASIA1' },
    ]);
  });

  it('of the environment is not asked to assume the role that it already is', async () => {
    const file = join(directory, 'token');
    await writeFile(file, 'a.b.c');
    const same = await assumed({ role: { arn: 'arn:aws:iam::123456789012:role/pod' }, environment: irsa(file) });
    await same.source();
    expect(same.questions).toMatchObject([{ form: { Action: 'AssumeRoleWithWebIdentity' } }]);
    expect(same.questions).toHaveLength(1);
  });
});
