import { describe, expect, it } from 'vitest';
import { readSettings } from '../../gateway/settings.ts';

describe('the database', () => {
  it('is taken from a URL', () => {
    expect(readSettings({ DATABASE_URL: 'postgresql://u:p@h/d' })).toMatchObject({
      databaseUrl: 'postgresql://u:p@h/d',
    });
  });

  it('is put together from the separate variables of compose files, whatever stands in the passwords', () => {
    const settings = readSettings({
      POSTGRES_HOST: 'db',
      POSTGRES_PORT: '6432',
      POSTGRES_USER: 'litellm',
      POSTGRES_PASSWORD: 'p@ss/w:rd?',
      POSTGRES_DB: 'litellm',
    });
    const database = new URL(settings.databaseUrl ?? '');
    expect([database.hostname, database.port, database.username, database.pathname]).toEqual([
      'db',
      '6432',
      'litellm',
      '/litellm',
    ]);
    expect(decodeURIComponent(database.password)).toBe('p@ss/w:rd?');
  });

  it('is absent when nothing names it; a blank variable names nothing', () => {
    expect(readSettings({ DATABASE_URL: '' })).toMatchObject({ databaseUrl: undefined });
  });

  it('a URL wins over the separate variables', () => {
    expect(readSettings({ DATABASE_URL: 'postgresql://a/b', POSTGRES_HOST: 'other' }).databaseUrl).toBe(
      'postgresql://a/b',
    );
  });
});

it('every fault is reported at once, by the name of its variable and without its value', () => {
  const faulty = {
    PORT: '70000',
    LITELLM_MASTER_KEY: 'hunter2-is-secret',
    LITELLM_LOG: 'LOUD',
    HOLDFAST_DRAIN_DEADLINE_SECONDS: '-1',
  };
  expect(() => readSettings(faulty)).toThrow(/4 faults/);
  expect(() => readSettings(faulty)).toThrow(
    /PORT: must be 1 to 65535[\s\S]*LITELLM_MASTER_KEY: must start with sk-[\s\S]*LITELLM_LOG[\s\S]*DRAIN_DEADLINE/,
  );
  expect(() => readSettings(faulty)).not.toThrow(/hunter2/);
});

describe('the region', () => {
  const region = { HOLDFAST_REGION: 'us-east-1', HOLDFAST_REGION_SECRET: 'a-secret-of-all-our-regions' };

  it('is absent when nothing names it', () => {
    expect(readSettings({}).region).toBeUndefined();
  });

  it('has addresses of the others and a claim in one or three buckets', () => {
    const settings = readSettings({
      ...region,
      HOLDFAST_REGION_ADDRESSES: 'us-west-2=https://gateway.west.internal:4000/,eu-west-1=http://10.0.0.1:4000',
      HOLDFAST_CLAIM_BUCKETS: 'claims-west@us-west-2',
    });
    expect(settings.region).toEqual({
      name: 'us-east-1',
      secret: region.HOLDFAST_REGION_SECRET,
      addresses: new Map([
        ['us-west-2', 'https://gateway.west.internal:4000'],
        ['eu-west-1', 'http://10.0.0.1:4000'],
      ]),
      claim: { buckets: [{ name: 'claims-west', region: 'us-west-2' }], key: 'claim.json', endpoints: [] },
    });
    expect(readSettings({ HOLDFAST_REGION: 'us-east-1', LITELLM_SALT_KEY: 'salt-of-them' }).region?.secret).toBe(
      'salt-of-them',
    );
  });

  it.each([
    [{ HOLDFAST_REGION: 'local', LITELLM_SALT_KEY: 'salt-of-them' }, /HOLDFAST_REGION: .*one region/],
    [{ HOLDFAST_REGION: 'us-east-1' }, /HOLDFAST_REGION_SECRET: must be set/],
    [{ ...region, HOLDFAST_REGION_ADDRESSES: 'us-west-2' }, /HOLDFAST_REGION_ADDRESSES: must be a list of NAME=URL/],
    [{ ...region, HOLDFAST_CLAIM_BUCKETS: 'one@a,two@b' }, /HOLDFAST_CLAIM_BUCKETS: must be one bucket or three/],
    [{ HOLDFAST_CLAIM_BUCKETS: 'one@a' }, /HOLDFAST_REGION: must name this region/],
    [{ HOLDFAST_REFUSE_BEYOND_RPO_SECONDS: '60' }, /HOLDFAST_REGION: must name this region/],
    [{ ...region, HOLDFAST_REFUSE_BEYOND_RPO_SECONDS: '1' }, /HOLDFAST_REFUSE_BEYOND_RPO_SECONDS: must be at least 10/],
  ])('with a fault is refused with the mend: %o', (environment, message) => {
    expect(() => readSettings(environment)).toThrow(message);
  });
});

describe('the source of configurations', () => {
  const sourceOf = (variables: Readonly<Record<string, string>>) => readSettings(variables).configSource;

  it.each<[string, Readonly<Record<string, string>>, object]>([
    ['a file, when nothing is said', {}, { is: 'file' }],
    [
      'S3 by its bucket',
      { CONFIG_S3_BUCKET: 'b', CONFIG_S3_KEY: 'configs/c.yaml' },
      { is: 's3', bucket: 'b', key: 'configs/c.yaml' },
    ],
    [
      'S3 by CONFIG_SOURCE and S3_BUCKET_NAME',
      { CONFIG_SOURCE: 's3', S3_BUCKET_NAME: 'b' },
      { is: 's3', bucket: 'b', key: 'config.yaml' },
    ],
    [
      'CONFIG_S3_BUCKET before S3_BUCKET_NAME',
      { CONFIG_S3_BUCKET: 'a', S3_BUCKET_NAME: 'b' },
      { is: 's3', bucket: 'a' },
    ],
    ['a file although a bucket is named', { CONFIG_SOURCE: 'file', CONFIG_S3_BUCKET: 'b' }, { is: 'file' }],
    [
      'Google’s store through its XML API',
      { CONFIG_GCS_BUCKET: 'b', CONFIG_GCS_ACCESS_KEY_ID: 'GOOG1', CONFIG_GCS_SECRET_ACCESS_KEY: 's' },
      { is: 'gcs', bucket: 'b', endpoint: 'https://storage.googleapis.com' },
    ],
    ['the database', { CONFIG_SOURCE: 'database' }, { is: 'database' }],
  ])('is %s', (_what, variables, expected) => {
    expect(sourceOf(variables)).toMatchObject(expected);
  });

  it('that lacks something says what, all of it at once', () => {
    expect(() => sourceOf({ CONFIG_SOURCE: 'gcs' })).toThrow(/CONFIG_GCS_BUCKET: [\s\S]*CONFIG_GCS_ACCESS_KEY_ID/);
    expect(() => sourceOf({ CONFIG_SOURCE: 's3' })).toThrow(/CONFIG_S3_BUCKET: is missing/);
  });
});

describe('the lease of the leader', () => {
  it('has the numbers of the documents, under both spellings', () => {
    expect(readSettings({}).ha).toEqual({
      mode: undefined,
      leaseSeconds: 30,
      renewSeconds: 10,
      lockName: 'config_sync',
    });
    expect(
      readSettings({
        LLMROUTER_HA_MODE: 'single',
        LLMROUTER_CONFIG_SYNC_LEASE_SECONDS: '60',
        LLMROUTER_HA_RENEW_INTERVAL_SECONDS: '5',
      }).ha,
    ).toMatchObject({ mode: 'single', leaseSeconds: 60, renewSeconds: 5 });
  });

  it('that one late renewal would lose is refused', () => {
    expect(() => readSettings({ LLMROUTER_HA_LEASE_SECONDS: '10' })).toThrow(/lost by one late renewal/);
  });
});

describe('the keeper of the leader’s lease', () => {
  const pod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT_HTTPS: '6443' };

  it('is the database, also in a pod; Kubernetes where it is asked for', () => {
    expect(readSettings(pod).ha.kubernetes).toBeUndefined();
    expect(readSettings({ ...pod, LLMROUTER_HA_BACKEND: 'kubernetes' }).ha.kubernetes).toEqual({
      server: 'https://10.96.0.1:6443',
      accountDirectory: '/var/run/secrets/kubernetes.io/serviceaccount',
    });
    const six = { KUBERNETES_SERVICE_HOST: 'fd00::1', LLMROUTER_HA_BACKEND: 'kubernetes' };
    expect(readSettings(six).ha.kubernetes?.server).toBe('https://[fd00::1]:443');
  });

  it('cannot be Kubernetes outside a pod', () => {
    expect(() => readSettings({ LLMROUTER_HA_BACKEND: 'kubernetes' })).toThrow(/KUBERNETES_SERVICE_HOST is not set/);
    expect(() => readSettings({ LLMROUTER_HA_BACKEND: 'etcd' })).toThrow(/LLMROUTER_HA_BACKEND: must be postgres or/);
  });
});
