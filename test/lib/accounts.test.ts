import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import { expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { credentialFaults } from '../../lib/platform/accounts.ts';
import { chooseEnvironment, definePlatforms } from '../../lib/platform/environments.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { knownRegions, zoneLetters } from '../../lib/platform/regions.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { spec } from './specs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

test('under the credentials of another account the app says so before it makes anything', async () => {
  const started = run(`${root}node_modules/.bin/node`, ['bin/app.ts'], {
    cwd: root,
    env: { PATH: process.env['PATH'], CDK_DEFAULT_ACCOUNT: '999999999999', CDK_OUTDIR: '/dev/null/never' },
    timeout: 20_000,
  });
  await expect(started).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      `account: the credentials at hand are of 999999999999, this platform lives in ${shipped.account}`,
    ),
  });
});

test.each([
  ['none, as for a review', undefined],
  ['its own', '222222222222'],
  ['one that is named as where it is deployed from', '333333333333'],
])('credentials are no fault: %s', (_, actual) => {
  expect(credentialFaults(definePlatform(spec({ deployedFrom: ['333333333333'] })), actual)).toEqual([]);
});

test('environments that share an account or a name are refused, both at once and by name', () => {
  const production = definePlatform(spec());
  const dev = definePlatform(spec({ environment: 'dev' }));
  expect(() => chooseEnvironment({ dev, production }, 'dev')).toThrow(
    /account: dev and production share 222222222222[^]*domain: dev and production share gateway\.acme\.example/,
  );
});

test('environments may share the account of their names, but not twice CI’s provider of tokens in it', () => {
  const regionsIn = (account: string) =>
    spec().regions.map((region) => ({
      ...region,
      account,
      certificateArn: `arn:aws:acm:${region.region}:${account}:certificate/x`,
    }));
  const described = (environment: 'dev' | 'production', account: string, changes: Partial<PlatformSpec> = {}) =>
    definePlatform(
      spec({ environment, domain: `${environment}.acme.example`, regions: regionsIn(account), ...changes }),
    );
  const production = described('production', '333333333333');
  expect(chooseEnvironment({ dev: described('dev', '444444444444'), production }, 'dev').environment).toBe('dev');
  expect(() => chooseEnvironment({ dev: described('dev', '333333333333'), production }, 'dev')).toThrow(
    /account: dev and production share 333333333333/,
  );
  const delivery = { subjects: ['repo:acme/gateway:ref:refs/heads/main'] };
  const both = {
    dev: described('dev', '444444444444', { delivery }),
    production: described('production', '333333333333', { delivery }),
  };
  expect(() => chooseEnvironment(both, 'dev')).toThrow(
    /delivery\.providerArn: dev and production both make a provider of CI's tokens in 222222222222/,
  );
});

test('wrong credentials are told together with what environments share', () => {
  const production = definePlatform(spec());
  const dev = definePlatform(spec({ environment: 'dev' }));
  expect(() => chooseEnvironment({ dev, production }, 'dev', '999999999999')).toThrow(
    /has 3 fault\(s\)[^]*dev and production share 222222222222[^]*credentials at hand are of 999999999999/,
  );
});

test('faults of all environments are told at once, each with its environment and with what they share', () => {
  const faulty = { dev: spec({ environment: 'dev', name: 'A' }), production: spec({ domain: 'nowhere' }) };
  expect(() => definePlatforms(faulty)).toThrow(
    /dev: name: "A"[^]*production: domain: "nowhere"[^]*account: dev and production share 222222222222/,
  );
  const sound = definePlatforms({
    staging: spec({ environment: 'staging' }),
    production: spec({ account: '333333333333', domain: 'api.acme.example' }),
  });
  expect(chooseEnvironment(sound, 'staging').environment).toBe('staging');
});

test('the regions that are known are those of the partition aws, and each has three zones or more', () => {
  const ofLibrary = RegionInfo.regions.filter(({ partition }) => partition === 'aws').map(({ name }) => name);
  expect(knownRegions.toSorted()).toEqual(ofLibrary.toSorted());
  expect(knownRegions.filter((region) => zoneLetters(region).length < 3)).toEqual([]);
});
