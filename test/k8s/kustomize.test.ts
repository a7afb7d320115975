import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import production from '../../holdfast.config.ts';
import { synthesizeManifests } from '../../k8s/app.ts';
import { describeDifference, readManifests } from '../../k8s/compare.ts';
import { type FieldChange, fieldChanges } from '../../k8s/difference.ts';
import { canRun } from '../../runbooks/lab/run-command.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { variants } from './platforms.ts';

const directory = await temporaryDirectory();
const kubectl = await canRun({ command: 'kubectl', args: ['kustomize', '--help'] });

const platforms = [
  { name: 'production', platform: production },
  ...variants.filter(({ platform }) => platform.standbys.length > 0),
];

describe.each(platforms)('kustomize ($name)', ({ name, platform }) => {
  const output = join(directory, name.replaceAll(/\W/g, '-'));
  synthesizeManifests(platform, output);
  const overlays = platform.standbys.map(({ region }) => region);

  it('has the primary’s files as its base, in the same order', () => {
    const files = readdirSync(join(output, platform.primary.region)).filter((file) => file.endsWith('.yaml'));
    expect(parse(readFileSync(join(output, 'kustomize/base/kustomization.yaml'), 'utf8')).resources).toEqual(files);
    for (const file of files) {
      expect(readFileSync(join(output, 'kustomize/base', file), 'utf8')).toBe(
        readFileSync(join(output, platform.primary.region, file), 'utf8'),
      );
    }
  });

  it.each(overlays)('makes of its overlay what was synthesized for %s', (region) => {
    const made = applyOverlay(output, region).map(identified).toSorted(byName);
    expect(made).toEqual(synthesized(output, region).map(identified).toSorted(byName));
  });

  it.skipIf(!kubectl).each(overlays)('does so by kubectl, too (skipped where there is none): %s', (region) => {
    const text = execFileSync('kubectl', ['kustomize', join(output, 'kustomize/overlays', region)], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    const made = documentsOf(text).map(identified).toSorted(byName);
    expect(made).toEqual(synthesized(output, region).map(identified).toSorted(byName));
  });
});

describe('the difference between two syntheses', () => {
  it('is nothing when nothing changed, and else names object, field and value', () => {
    const before = join(directory, 'before');
    const after = join(directory, 'after');
    synthesizeManifests(production, before);
    synthesizeManifests({ ...production, image: 'gateway:2' }, after);
    const [old, now] = [readManifests(before) ?? new Map(), readManifests(after) ?? new Map()];
    expect(describeDifference(old, old)).toEqual([]);
    const lines = describeDifference(old, now);
    expect(lines).toContain(
      'us-east-1  ~ apps/v1 Deployment holdfast/gateway /spec/template/spec/containers/0/image becomes: "gateway:2"',
    );
    // A new image is a new migration.
    expect(lines.filter((line) => line.includes(' Job ') && line.startsWith('us-east-1'))).toEqual([
      expect.stringMatching(/^us-east-1 {2}- batch\/v1 Job holdfast\/gateway-migrate-/),
      expect.stringMatching(/^us-east-1 {2}\+ batch\/v1 Job holdfast\/gateway-migrate-/),
    ]);
  });

  it('cannot be read where nothing was written', () => {
    expect(readManifests(join(directory, 'nowhere'))).toBeUndefined();
  });
});

type Plain = Record<string, unknown>;

const documentsOf = (text: string): Plain[] =>
  parseAllDocuments(text).map((document) => z.record(z.string(), z.unknown()).parse(document.toJS()));

const identified = (object: Plain): [string, Plain] => {
  const { name } = z.looseObject({ name: z.string() }).parse(object['metadata']);
  return [`${String(object['apiVersion'])} ${String(object['kind'])} ${name}`, object];
};

const byName = ([a]: [string, Plain], [b]: [string, Plain]): number => (a < b ? -1 : 1);

const synthesized = (output: string, region: string): Plain[] =>
  readdirSync(join(output, region))
    .filter((file) => file.endsWith('.yaml'))
    .flatMap((file) => documentsOf(readFileSync(join(output, region, file), 'utf8')));

/** What kustomize does with our overlays: resources, deletions, JSON patches. */
function applyOverlay(output: string, region: string): Plain[] {
  const folder = join(output, 'kustomize/overlays', region);
  const { resources, patches } = z
    .looseObject({
      resources: z.array(z.string()),
      patches: z.array(
        z.object({ patch: z.string(), target: z.object({ kind: z.string(), name: z.string() }).loose().optional() }),
      ),
    })
    .parse(parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')));
  const base = readdirSync(join(output, 'kustomize/base')).filter((file) => file !== 'kustomization.yaml');
  let objects = base.flatMap((file) => documentsOf(readFileSync(join(output, 'kustomize/base', file), 'utf8')));
  for (const file of resources.filter((resource) => resource.endsWith('.yaml'))) {
    objects.push(...documentsOf(readFileSync(join(folder, file), 'utf8')));
  }
  for (const { patch, target } of patches) {
    if (target === undefined) {
      const [gone] = documentsOf(patch).map((object) => identified(object)[0]);
      objects = objects.filter((object) => identified(object)[0] !== gone);
    } else {
      const fields: FieldChange[] = JSON.parse(patch);
      objects = objects.map((object) =>
        object['kind'] === target.kind && identified(object)[0].endsWith(` ${target.name}`)
          ? fields.reduce(applyField, object)
          : object,
      );
    }
  }
  return objects;
}

function applyField(object: Plain, change: FieldChange): Plain {
  const copy = structuredClone(object);
  const steps = change.path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = steps.pop() ?? '';
  const parent = steps.reduce<Plain>((current, step) => Object(current[step]), copy);
  if (change.op === 'remove') delete parent[last];
  else parent[last] = change.value;
  return copy;
}

it('changes are found in lists and names with slashes, and applied give the second object', () => {
  const before = { a: [1, { 'b/c': 2 }], gone: true, same: { x: 1 } };
  const after = { a: [1, { 'b/c': 3 }], same: { x: 1 }, list: ['new'] };
  const changes = fieldChanges(before, after);
  expect(changes).toEqual([
    { op: 'replace', path: '/a/1/b~1c', value: 3 },
    { op: 'remove', path: '/gone' },
    { op: 'add', path: '/list', value: ['new'] },
  ]);
  expect(changes.reduce<Plain>(applyField, before)).toEqual(after);
});
