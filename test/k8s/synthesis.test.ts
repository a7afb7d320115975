import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import production from '../../holdfast.config.ts';
import { synthesizeManifests } from '../../k8s/app.ts';
import type { Region } from '../../lib/platform/platform.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { at, migrationOf, objectsOf, synthesizedTexts } from './manifests.ts';

const directory = await temporaryDirectory();

describe('the manifests of the production platform', () => {
  it('are the same bytes in two syntheses', () => {
    expect(synthesizedTexts(production)).toEqual(synthesizedTexts(production));
  });

  it('are these, in the first region', () => {
    const texts = [...synthesizedTexts(production)].filter(([file]) => file.startsWith('us-east-1/'));
    expect(texts.map(([file, text]) => `# ${file}\n${text}`).join('\n')).toMatchSnapshot();
  });

  it('differ between regions only in their names, their range, their number of replicas and whom they ask', () => {
    const mayDiffer = /name: HOLDFAST_(EXPECTED_REPLICAS|REGION_ADDRESSES|CLAIM_BUCKETS|OUTBOX_ARCHIVE)$/;
    const texts = synthesizedTexts(production);
    // The description of the whole platform names every region, in the same words everywhere.
    const description = JSON.stringify(production, null, 2).replaceAll(/^/gm, '    ');
    const textOf = (region: Region, file: string): string[] =>
      (texts.get(`${region.region}/${file}`) ?? '')
        .replace(description, 'DESCRIPTION')
        .replaceAll(region.region, 'REGION')
        .replaceAll(region.cidr, 'CIDR')
        .split('\n');
    const files = [...texts.keys()].filter((path) => path.startsWith(`${production.primary.region}/`));
    expect(texts.get('us-west-2/56-region-watch.yaml')).toContain(description);
    for (const file of files.map((path) => path.slice(production.primary.region.length + 1))) {
      const text = textOf(production.primary, file);
      for (const region of production.standbys) {
        const other = textOf(region, file);
        // The hash of a configuration that names its region.
        for (const [index, line] of text.entries()) {
          if (line === other[index] || mayDiffer.test(text[index - 1] ?? '')) continue;
          expect(line).toMatch(/^ +(minAvailable|minReplicas|holdfast\/config-sha256): /);
        }
        expect(other).toHaveLength(text.length);
      }
    }
  });

  it('bring the namespace and its network rules first, then the migration, then the pods', () => {
    const names = objectsOf(production, 'us-east-1').map(
      ({ kind, metadata }) =>
        `${String(kind)} ${String(at(metadata, 'name')).replace(/^gateway-migrate-.*/, 'migration')}`,
    );
    const order = [
      'Namespace holdfast',
      'ConfigMap gateway-config',
      'NetworkPolicy deny-all',
      'Job migration',
      'Deployment gateway',
      'HorizontalPodAutoscaler gateway',
    ];
    const positions = order.map((name) => names.indexOf(name));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(positions).not.toContain(-1);
  });

  it('tell what was written', () => {
    const summary = synthesizeManifests(production, join(directory, 'summary')).filter(
      ({ region }) => region === 'us-east-1',
    );
    expect(summary.map(({ file }) => file.replace('us-east-1/', ''))).toEqual([
      '00-foundation.yaml',
      '06-vault.yaml',
      '08-pgbouncer.yaml',
      '10-migration.yaml',
      '20-gateway.yaml',
      '30-ingress.yaml',
      '42-agentgateway.yaml',
      '50-exporters.yaml',
      '52-telemetry.yaml',
      '54-monitoring.yaml',
      '56-region-watch.yaml',
      '60-backup.yaml',
      '62-fault-injection.yaml',
      'drills/70-load.yaml',
      'drills/80-chaos.yaml',
    ]);
    expect(summary.find(({ file }) => file.endsWith('20-gateway.yaml'))).toEqual({
      region: 'us-east-1',
      file: 'us-east-1/20-gateway.yaml',
      resources: 4,
      kinds: { Deployment: 1, Service: 1, PodDisruptionBudget: 1, HorizontalPodAutoscaler: 1 },
    });
  });

  it('take back what an earlier synthesis wrote, and nothing that somebody else did', () => {
    const output = join(directory, 'stale');
    synthesizeManifests(production, output);
    writeFileSync(join(output, 'eu-west-1/99-mine.yaml'), 'kind: Mine\n');
    mkdirSync(join(output, 'notes'));
    writeFileSync(join(output, 'notes/todo.yaml'), 'kind: Todo\n');
    const [primary] = production.regions;
    if (primary === undefined) throw new Error('no region');
    synthesizeManifests({ ...production, regions: [primary] }, output);
    expect(() => readFileSync(join(output, 'us-west-2/20-gateway.yaml'))).toThrow('ENOENT');
    expect(() => readFileSync(join(output, 'us-west-2'))).toThrow('ENOENT');
    expect(() => readFileSync(join(output, 'eu-west-1/20-gateway.yaml'))).toThrow('ENOENT');
    expect(readFileSync(join(output, 'eu-west-1/99-mine.yaml'), 'utf8')).toBe('kind: Mine\n');
    expect(readFileSync(join(output, 'notes/todo.yaml'), 'utf8')).toBe('kind: Todo\n');
  });

  it('roll a new config out by new pods, and a new image by a new migration', () => {
    const pods = (config: string): unknown => {
      const text = synthesizedTexts(production, config).get('us-east-1/20-gateway.yaml');
      return /config-sha256: (\w+)/.exec(text ?? '')?.[1];
    };
    expect(pods('model_list: []')).not.toBe(pods('model_list: [] # changed'));
    const migration = (image: string): unknown =>
      at(migrationOf(objectsOf({ ...production, image }, 'us-east-1')), 'metadata.name');
    expect(migration('a:1')).not.toBe(migration('a:2'));
    expect(migration('a:1')).toBe(migration('a:1'));
  });
});
