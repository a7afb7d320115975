import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { buildApp } from '../../lib/app.ts';
import { stackName } from '../../lib/platform/names.ts';
import { resolveTemplate } from './resolve-template.ts';
import { context, templateSchema } from './synthesize.ts';

const run = promisify(execFile);
const cdk = fileURLToPath(new URL('../../node_modules/.bin/cdk', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'holdfast-diff-'));
afterAll(() => rmSync(directory, { recursive: true }));

buildApp(shipped, { outdir: directory, context, analyticsReporting: false }).synth();
const stack = stackName(shipped, shipped.standbys[0]?.region ?? '', 'data');
const file = join(directory, readdirSync(directory).find((name) => name === `${stack}.template.json`) ?? '');
const template = templateSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
const asStandby = join(directory, 'standby.json');
writeFileSync(asStandby, JSON.stringify(resolveTemplate(template, { RegionRole: 'standby' })));

/** What CDK's own command says of the change from the standby's template to another one. */
async function diffTo(other: unknown): Promise<string> {
  writeFileSync(file, JSON.stringify(other));
  const { stdout, stderr } = await run(
    cdk,
    ['diff', stack, '--exclusively', '--template', asStandby, '--app', directory, '--no-color'],
    {
      timeout: 60_000,
    },
  );
  return stdout + stderr;
}

test('cdk diff finds that a promotion replaces nothing', { timeout: 90_000 }, async () => {
  const diff = await diffTo(resolveTemplate(template, { RegionRole: 'primary' }));
  expect(diff).not.toMatch(/requires replacement|will be|destroy|orphan/i);
  // AWS marks the source as create-only under a condition, and taking it out is the one change that is none: promotion.
  expect(diff.match(/\[[-+~]\] \w+ \(may cause replacement\)/g)).toEqual([
    '[-] SourceDBInstanceIdentifier (may cause replacement)',
  ]);
  expect(diff).not.toMatch(/IAM (Statement|Policy)/);
});

test('and would find it if one did', { timeout: 90_000 }, async () => {
  const changed = JSON.stringify(resolveTemplate(template, {})).replace(
    '"SourceRegion":"us-east-1"',
    '"SourceRegion":"eu-west-1"',
  );
  expect(await diffTo(JSON.parse(changed))).toMatch(/requires replacement/i);
});
