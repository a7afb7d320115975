import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import production from '../../holdfast.config.ts';
import { synthesizeManifests } from '../../k8s/app.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { at, find, objectsOf, synthesizedTexts } from './manifests.ts';

const directory = await temporaryDirectory();

describe('the manifests of the production platform', () => {
  it('are the same bytes in two syntheses', () => {
    expect(synthesizedTexts(production)).toEqual(synthesizedTexts(production));
  });

  it('are these, in the first region', () => {
    const texts = [...synthesizedTexts(production)].filter(([file]) => file.startsWith('us-east-1/'));
    expect(texts.map(([file, text]) => `# ${file}\n${text}`).join('\n')).toMatchSnapshot();
  });

  it('differ between regions only in their range and their number of replicas', () => {
    const [primary, ...others] = production.regions;
    if (primary === undefined) throw new Error('no region');
    const texts = synthesizedTexts(production);
    for (const region of others) {
      for (const [file, text] of texts) {
        if (!file.startsWith(`${primary.region}/`)) continue;
        const other = texts.get(file.replace(primary.region, region.region)) ?? '';
        const differing = text.split('\n').filter((line, index) => line !== other.split('\n')[index]);
        for (const line of differing)
          expect(line).toMatch(/^ +(cidr|minAvailable|minReplicas|targetGroupName|replacement): /);
        expect(other.split('\n')).toHaveLength(text.split('\n').length);
      }
    }
  });

  it('bring the namespace and its network rules first, then the migration, then the pods', () => {
    const kinds = objectsOf(production, 'us-east-1').map((object) => object.kind);
    const order = ['Namespace', 'ConfigMap', 'NetworkPolicy', 'Job', 'Deployment', 'HorizontalPodAutoscaler'];
    const positions = order.map((kind) => kinds.indexOf(kind));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(positions).not.toContain(-1);
  });

  it('tell what was written', () => {
    const summary = synthesizeManifests(production, join(directory, 'summary'));
    expect(summary.filter(({ region }) => region === 'us-east-1')).toEqual([
      {
        region: 'us-east-1',
        file: 'us-east-1/00-foundation.yaml',
        resources: 8,
        kinds: { Namespace: 1, PriorityClass: 1, ServiceAccount: 1, ConfigMap: 1, StorageClass: 1, NetworkPolicy: 3 },
      },
      { region: 'us-east-1', file: 'us-east-1/10-migration.yaml', resources: 1, kinds: { Job: 1 } },
      {
        region: 'us-east-1',
        file: 'us-east-1/20-gateway.yaml',
        resources: 4,
        kinds: { Deployment: 1, Service: 1, PodDisruptionBudget: 1, HorizontalPodAutoscaler: 1 },
      },
      { region: 'us-east-1', file: 'us-east-1/30-ingress.yaml', resources: 1, kinds: { TargetGroupBinding: 1 } },
    ]);
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
      at(find(objectsOf({ ...production, image }, 'us-east-1'), 'Job'), 'metadata.name');
    expect(migration('a:1')).not.toBe(migration('a:2'));
    expect(migration('a:1')).toBe(migration('a:1'));
  });
});
