/**
 * release in EKS: what it asks of the cluster, and of the registries (botocore, ecr/2015-09-21, service-2.json). The cluster
 * is one of the tests, whose controllers follow a template two looks later; kubectl's own process is tested elsewhere.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { definePlatform } from '../../../lib/platform/platform.ts';
import { AwsClients } from '../../../runbooks/aws/clients.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { canaryOf, withImage } from '../../../runbooks/aws/release-image.ts';
import { awsReleases, keeperOf } from '../../../runbooks/aws/releases.ts';
import { type ReleaseWorld, release } from '../../../runbooks/books/release.ts';
import { MemoryJournal } from '../../../runbooks/engine/journal.ts';
import { run } from '../../../runbooks/engine/run.ts';
import { undo } from '../../../runbooks/engine/undo.ts';
import { spec } from '../../lib/specs.ts';
import { refusedCalls } from '../../support/aws/allowed.ts';
import { FakeCluster } from '../../support/aws/cluster.ts';
import { startWire, type Wire, type WireAnswer } from '../../support/aws/wire.ts';
import { endsAlike } from '../books/crashes.ts';
import { optionsFor } from '../engine/world.ts';

const digest = (sign: string): string => `sha256:${sign.repeat(64)}`;
const [east, west] = ['us-east-1', 'us-west-2'] as const;
const platform = definePlatform({ ...spec(), imageDigest: digest('a') });
const copyIn = (region: string, sign: string): string =>
  `${platform.account}.dkr.ecr.${region}.amazonaws.com/${platform.name}-${platform.environment}/gateway@${digest(sign)}`;
const image = `ghcr.io/holdfast/gateway@${digest('b')}`;
const confirm = async (_: unknown, expected: string): Promise<string> => expected;

class Eks {
  readonly clusters: Readonly<Record<string, FakeCluster>>;
  /** Regions whose registry has the new image. */
  copied: readonly string[] = platform.regions.map(({ region }) => region);
  vitals = { requests: 1_000, errors: 1, addedLatencyMs: 5 };

  constructor(kind: 'Deployment' | 'StatefulSet') {
    this.clusters = Object.fromEntries(
      platform.regions.map(({ region, availabilityZones }) => {
        const cluster = new FakeCluster(availabilityZones);
        cluster.add(kind, 'gateway', copyIn(region, 'a'), 6);
        return [region, cluster];
      }),
    );
  }

  cluster(region: string): FakeCluster {
    const found = this.clusters[region];
    if (found === undefined) throw new Error(`no cluster in ${region}`);
    return found;
  }

  /** Digests' first signs of the pods of a zone, of all workloads. */
  pods(region: string, zone?: string): string {
    return [...this.cluster(region).workloads.values()]
      .flatMap(({ pods }) => pods)
      .filter((pod) => zone === undefined || pod.zone === zone)
      .map((pod) => pod.image.slice(-1))
      .toSorted((one, other) => one.localeCompare(other))
      .join('');
  }

  get state(): object {
    return Object.fromEntries(
      Object.entries(this.clusters).map(([region, { acts }]) => [region, [this.pods(region), ...acts]]),
    );
  }
}

describe.each(['Deployment', 'StatefulSet'] as const)('release of a %s', (kind) => {
  let wire: Wire | undefined;
  let clients: AwsClients | undefined;
  const close = async (): Promise<void> => {
    clients?.destroy();
    await wire?.close();
  };
  afterEach(close);

  async function worldOf(eks: Eks): Promise<ReleaseWorld> {
    await close();
    const ecr = ({ region, body }: { region: string; body: string }): WireAnswer =>
      eks.copied.includes(region) && body.includes(digest('b'))
        ? { json: { imageDetails: [{ imageDigest: digest('b') }] } }
        : { json: { __type: 'ImageNotFoundException', message: 'none' }, status: 400 };
    wire = await startWire({ services: { ecr } });
    clients = new AwsClients(wire.access);
    const releases = awsReleases(clients, {
      platform,
      regionOf: (name) => {
        const found = platform.regions.find(({ region }) => region === name);
        if (found === undefined) throw new Error(`no ${name}`);
        return found;
      },
      kubectl: (region, ...more) => eks.cluster(region).kubectl(region, ...more),
      writer: async () => east,
      manifestOf: async (region) => `
kind: Job
metadata: {name: gateway-migrate-b}
spec: {template: {spec: {containers: [{image: "${copyIn(region, 'b')}"}]}}}
`,
      wait: async () => undefined,
    });
    return {
      releases,
      vitals: async () => eks.vitals,
      shares: { read: async () => undefined, set: async () => undefined },
      verify: async () => [],
      wait: async () => undefined,
    };
  }

  const zone = `${east}a`;
  const book = release({ image, primary: east, standbys: [west], zone, bakeSeconds: 10 });

  it('rolls the standby, one zone, then the rest, each by its own copy of the digest', async () => {
    const eks = new Eks(kind);
    const world = await worldOf(eks);
    const seen: string[] = [];
    const bakes = {
      ...world,
      wait: async () => void seen.push(`${eks.pods(west)} ${eks.pods(east, zone)} ${eks.pods(east)}`),
    };
    expect(await run(optionsFor(book, bakes, { confirm }))).toEqual({ is: 'completed' });
    // Beside a Deployment two pods more stand in the zone; in a StatefulSet its two are replaced.
    const inZone = kind === 'Deployment' ? ['aabb', 'aaaaaabb'] : ['bb', 'aaaabb'];
    expect(seen).toEqual([`bbbbbb aa aaaaaa`, `bbbbbb ${inZone.join(' ')}`, 'bbbbbb bb bbbbbb']);
    const images = [east, west].map((region) => eks.cluster(region).workloads.get('gateway')?.image);
    expect(images).toEqual([copyIn(east, 'b'), copyIn(west, 'b')]);
    expect([...eks.cluster(east).workloads.keys()]).toEqual(['gateway']);
    expect(eks.cluster(east).workloads.get('gateway')?.updateStrategy).toBe('RollingUpdate');
    expect([...eks.cluster(east).jobs.keys()]).toEqual(['gateway-migrate-b']);
    const policy = policyOf('release', platform, { claims: [], takeovers: [], journals: ['journals'] });
    expect(refusedCalls(policy, wire?.calls ?? [], platform.account)).toEqual([]);
  });

  it('sets the zone back by itself when it does harm there, and taken back the standby returns, too', async () => {
    const eks = new Eks(kind);
    const world = await worldOf(eks);
    const vitals = async () =>
      eks.pods(east).includes('b') ? { requests: 1_000, errors: 90, addedLatencyMs: 0 } : eks.vitals;
    const journal = new MemoryJournal();
    const harmed = { ...world, vitals };
    expect(await run(optionsFor(book, harmed, { confirm, journal }))).toMatchObject({
      is: 'partial',
      step: 'bake-zone',
    });
    expect(eks.pods(east)).toBe('aaaaaa');
    expect(eks.pods(west)).toBe('bbbbbb');
    expect(eks.cluster(east).workloads.get('gateway')).toMatchObject({
      updateStrategy: 'RollingUpdate',
      annotations: {},
    });
    await undo(optionsFor(book, harmed, { confirm, journal }));
    await world.releases.view({ region: west }, new AbortController().signal);
    expect(eks.pods(west)).toBe('aaaaaa');
    expect(eks.cluster(west).workloads.get('gateway')?.image).toBe(copyIn(west, 'a'));
  });

  it('is refused before anything changes: by a tag, a registry without the image, or GitOps that would undo it', async () => {
    const eks = new Eks(kind);
    const world = await worldOf(eks);
    eks.copied = [east];
    const flux = eks.cluster(west).workloads.get('gateway');
    if (flux !== undefined) flux.labels = { 'kustomize.toolkit.fluxcd.io/name': 'apps' };
    const outcome = await run(optionsFor(book, world, { confirm }));
    expect(outcome).toMatchObject({
      is: 'refused',
      step: 'before',
      because: expect.stringContaining('Flux would set'),
    });
    expect(outcome).toMatchObject({ because: expect.stringContaining(`${west}: its registry has no ${digest('b')}`) });
    const tagged = release({
      image: 'ghcr.io/holdfast/gateway:2',
      primary: east,
      standbys: [west],
      zone,
      bakeSeconds: 10,
    });
    expect(await run(optionsFor(tagged, world, { confirm }))).toMatchObject({
      is: 'refused',
      because: expect.stringContaining('has no digest'),
    });
    expect(Object.values(eks.clusters).flatMap(({ acts }) => acts)).toEqual([]);
  });

  it('killed at any write of its journal and resumed, it ends alike', async () => {
    const { crashes } = await endsAlike(book, async () => {
      const eks = new Eks(kind);
      return { world: await worldOf(eks), state: () => eks.state };
    });
    expect(crashes).toBeGreaterThan(30);
  });
});

it('Argo CD keeps the image unless somebody has said that it was told not to', () => {
  const metadata = {
    name: 'gateway',
    generation: 1,
    labels: {},
    annotations: { 'argocd.argoproj.io/tracking-id': 'platform:apps/Deployment:holdfast/gateway' },
  };
  expect(keeperOf({ metadata })).toContain('argocd app set platform --sync-policy none');
  const annotations = { ...metadata.annotations, 'holdfast/released-by': 'runbook' };
  expect(keeperOf({ metadata: { ...metadata, annotations } })).toBeUndefined();
});

describe('a release tells gateways what they run, for their health page', () => {
  it('in the patch of their own template, and in that of the pods that go first', () => {
    const copy = copyIn(west, 'b');
    const told = { name: 'HOLDFAST_IMAGE', value: `gateway@${digest('b')}` };
    expect(withImage(copy).template.spec.containers).toEqual([{ name: 'gateway', image: copy, env: [told] }]);
    const before = [
      { name: 'HOLDFAST_IMAGE', value: `gateway@${digest('a')}` },
      { name: 'HOLDFAST_REGION', value: west },
    ];
    const deployment = {
      metadata: {},
      spec: {
        selector: { matchLabels: {} },
        template: {
          metadata: { labels: {} },
          spec: {
            containers: [
              { name: 'gateway', image: copyIn(west, 'a'), env: before },
              { name: 'proxy', image: 'proxy:1', env: before },
            ],
          },
        },
      },
    };
    const made = JSON.stringify(canaryOf(JSON.stringify(deployment), { zone: 'a', image: copy, replicas: 1 }));
    const containers: unknown[] = JSON.parse(made).spec.template.spec.containers;
    expect(containers).toEqual([
      { name: 'gateway', image: copy, env: [before[1], told] },
      { name: 'proxy', image: 'proxy:1', env: before },
    ]);
  });
});
