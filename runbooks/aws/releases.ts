/**
 * Releases in EKS. A region rolls as its workload does; one zone goes first in the way that the workload allows:
 * a StatefulSet, whose pods are bound to zones by their volumes, has those of the zone replaced one by one; beside a
 * Deployment, whose pods have no place of their own, as many pods of the new image as stand in the zone are started there.
 */
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { gatewayImage, kubernetes, repositoryName } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { digestOf, type ReleasePart, type Releases } from '../books/release.ts';
import { type AwsClients, isNamed } from './clients.ts';
import type { Kubectl } from './kubectl.ts';
import { canaryName, canaryOf, trackLabel, withImage } from './release-image.ts';
import { jsonCall } from './signed-call.ts';
import { isReady, isRolledOut, type Pod, readPods, readWorkloads, type Workload, zonesOfNodes } from './workloads.ts';

export interface ReleasesPlace {
  readonly platform: Platform;
  readonly regionOf: (name: string) => Region;
  readonly kubectl: Kubectl;
  /** Region that takes control-plane writes: its database is migrated. */
  readonly writer: (signal: AbortSignal) => Promise<string>;
  /** What was made of the description: text of a file of manifests. */
  readonly manifestOf: (region: string, file: string) => Promise<string>;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

/** On the StatefulSet, while one zone alone has the new image. */
const notes = { zone: 'holdfast/release-zone', before: 'holdfast/release-before' } as const;
const betweenLooksSeconds = 5;
const migrationFile = '10-migration.yaml';

export function awsReleases(clients: AwsClients, place: ReleasesPlace): Releases {
  const { kubectl } = place;
  return {
    view: (part, signal) => view(kubectl, part, signal),
    roll: async (part, image, _token, signal) => {
      const wanted = imageIn(place, part.region, image);
      const { gateway } = await gatewaysOf(kubectl, part.region, signal);
      if (part.zone === undefined) return rollRegion(kubectl, part.region, gateway, wanted, signal);
      const zonal = { region: part.region, zone: part.zone };
      return gateway.kind === 'StatefulSet'
        ? rollZoneInPlace(place, zonal, gateway, wanted, signal)
        : rollZoneBeside(kubectl, zonal, gateway, wanted, signal);
    },
    schema: async (image, signal) => {
      const region = await place.writer(signal);
      const { name } = await migrationOf(place, region, image);
      const state = await jobState(kubectl, region, name, signal);
      if (state === 'failed') throw new Error(`the job ${name} has failed: kubectl logs job/${name}`);
      return { there: state === 'succeeded' ? name : '', wanted: name };
    },
    migrate: async (image, _token, signal) => {
      const region = await place.writer(signal);
      const { name, manifest } = await migrationOf(place, region, image);
      if ((await jobState(kubectl, region, name, signal)) === 'failed') {
        await kubectl(region, ['delete', `job/${name}`], signal);
      }
      await kubectl(region, ['apply', '--filename=-'], signal, JSON.stringify(manifest));
    },
    obstacles: async (image, signal) => obstacles(clients, place, image, signal),
  };
}

async function view(kubectl: Kubectl, { region, zone }: ReleasePart, signal: AbortSignal) {
  const { gateway, canary } = await gatewaysOf(kubectl, region, signal);
  const held = gateway.metadata.annotations[notes.zone];
  const image = imageOf(gateway);
  if (zone === undefined) {
    // While one zone goes first, the rest runs what ran before.
    const before = gateway.metadata.annotations[notes.before];
    return { image: before ?? image, isRolledOut: before === undefined && isRolledOut(gateway) };
  }
  if (canary !== undefined) return { image: imageOf(canary), isRolledOut: isRolledOut(canary) };
  if (held === undefined) return { image, isRolledOut: isRolledOut(gateway) };
  if (held !== zone) throw new Error(`a release has begun with the zone ${held}: resume that run, or take it back`);
  const left = await podsToReplace(kubectl, { region, zone }, gateway, image, signal);
  // Nobody replaces these but a run: one that was killed in between is not under way, it has to be gone on with.
  const old = left.map(ownImage).find((one) => one !== image);
  return { image: old ?? image, isRolledOut: left.length === 0 };
}

const gatewaysOf = async (kubectl: Kubectl, region: string, signal: AbortSignal) =>
  gatewaysIn(await readWorkloads(kubectl, region, signal), region);

function gatewaysIn(workloads: readonly Workload[], region: string) {
  const gateway = workloads.find(({ metadata }) => metadata.name === kubernetes.gateway);
  if (gateway === undefined) throw new Error(`the cluster in ${region} has no ${kubernetes.gateway}`);
  return { gateway, canary: workloads.find(({ metadata }) => metadata.name === canaryName) };
}

/** Pure. What a region's gateways run; while one zone goes first, what the rest runs. */
export function runningImage(workloads: readonly Workload[], region: string): string {
  const { gateway } = gatewaysIn(workloads, region);
  return gateway.metadata.annotations[notes.before] ?? imageOf(gateway);
}

async function rollRegion(kubectl: Kubectl, region: string, gateway: Workload, image: string, signal: AbortSignal) {
  const rolling = gateway.kind === 'StatefulSet' ? { updateStrategy: { type: 'RollingUpdate' } } : {};
  await patch(
    kubectl,
    region,
    gateway,
    { [notes.zone]: null, [notes.before]: null },
    { ...rolling, ...withImage(image) },
    signal,
  );
  // The region has all of its own pods: those of the zone were more than it needs.
  if (gateway.kind === 'Deployment') await removeCanary(kubectl, region, signal);
}

async function rollZoneInPlace(
  place: ReleasesPlace,
  part: Required<ReleasePart>,
  gateway: Workload,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  const { kubectl, wait } = place;
  const before = gateway.metadata.annotations[notes.before] ?? imageOf(gateway);
  const annotations = { [notes.zone]: part.zone, [notes.before]: before };
  const byHand = { updateStrategy: { type: 'OnDelete' }, ...withImage(image) };
  await patch(kubectl, part.region, gateway, annotations, byHand, signal);
  for (;;) {
    const [next] = await podsToReplace(kubectl, part, gateway, image, signal);
    if (next === undefined) break;
    // One that is on its way to ready is waited for: the disruption budget would refuse the next one.
    if (ownImage(next) !== image) await evict(kubectl, part.region, next.metadata.name, signal);
    await wait(betweenLooksSeconds, signal);
  }
  if (image !== before) return;
  const rolling = { updateStrategy: { type: 'RollingUpdate' } };
  await patch(kubectl, part.region, gateway, { [notes.zone]: null, [notes.before]: null }, rolling, signal);
}

/** Pods of the zone that do not run the image yet, or are not ready with it; those that are not ready first. */
async function podsToReplace(
  kubectl: Kubectl,
  { region, zone }: Required<ReleasePart>,
  gateway: Workload,
  image: string,
  signal: AbortSignal,
) {
  const [pods, zones] = await Promise.all([
    readPods(kubectl, region, gateway, signal),
    zonesOfNodes(kubectl, region, signal),
  ]);
  return pods
    .filter(({ spec }) => zones.get(spec.nodeName ?? '') === zone)
    .filter((pod) => !isReady(pod) || ownImage(pod) !== image)
    .toSorted((one, other) => Number(isReady(one)) - Number(isReady(other)));
}

/** Through the disruption budget, which `kubectl delete` passes by. A refusal is asked again. */
async function evict(kubectl: Kubectl, region: string, name: string, signal: AbortSignal): Promise<void> {
  const metadata = { name, namespace: kubernetes.namespace };
  const path = `/api/v1/namespaces/${kubernetes.namespace}/pods/${name}/eviction`;
  const eviction = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata });
  try {
    await kubectl(region, ['create', '--raw', path, '--filename=-'], signal, eviction);
  } catch (error) {
    const isLater = error instanceof Error && /disruption budget|TooManyRequests|NotFound/.test(error.message);
    if (!isLater) throw error;
  }
}

async function rollZoneBeside(
  kubectl: Kubectl,
  { region, zone }: Required<ReleasePart>,
  gateway: Workload,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  if (image === imageOf(gateway)) return removeCanary(kubectl, region, signal);
  const [pods, zones, text] = await Promise.all([
    readPods(kubectl, region, gateway, signal),
    zonesOfNodes(kubectl, region, signal),
    kubectl(region, ['get', `deployment/${kubernetes.gateway}`, '--output=json'], signal),
  ]);
  // Not those that an earlier run has started beside them.
  const own = pods.filter(({ metadata }) => !(trackLabel in metadata.labels));
  const here = own.filter(({ spec }) => zones.get(spec.nodeName ?? '') === zone).length;
  const manifest = canaryOf(text, { zone, image, replicas: Math.max(1, here) });
  await kubectl(region, ['apply', '--filename=-'], signal, JSON.stringify(manifest));
}

const removeCanary = async (kubectl: Kubectl, region: string, signal: AbortSignal): Promise<void> => {
  await kubectl(region, ['delete', `deployment/${canaryName}`, '--ignore-not-found'], signal);
};

const imageOf = ({ spec, metadata }: Workload): string => {
  const found = spec.template.spec.containers.find(({ name }) => name === kubernetes.gateway);
  if (found === undefined) throw new Error(`${metadata.name} has no container ${kubernetes.gateway}`);
  return found.image;
};

const ownImage = ({ spec }: Pick<Pod, 'spec'>): string | undefined =>
  spec.containers.find(({ name }) => name === kubernetes.gateway)?.image;

async function patch(
  kubectl: Kubectl,
  region: string,
  { kind, metadata }: Workload,
  annotations: Readonly<Record<string, string | null>>,
  spec: object,
  signal: AbortSignal,
): Promise<void> {
  const text = JSON.stringify({ metadata: { annotations }, spec });
  await kubectl(region, ['patch', kind.toLowerCase(), metadata.name, '--type=strategic', `--patch=${text}`], signal);
}

/** Pure. The region's own copy of an image, where regions have copies. */
export function imageIn(
  { platform, regionOf }: Pick<ReleasesPlace, 'platform' | 'regionOf'>,
  region: string,
  image: string,
): string {
  const digest = digestOf(image);
  const hasCopies = platform.imageDigest !== undefined && digest !== undefined;
  return hasCopies ? gatewayImage({ ...platform, imageDigest: digest }, regionOf(region)) : image;
}

const jobSchema = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({ template: z.object({ spec: z.object({ containers: z.array(z.object({ image: z.string() })) }) }) }),
});
const jobsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z
        .object({
          succeeded: z.number().default(0),
          conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
        })
        .default({ succeeded: 0, conditions: [] }),
    }),
  ),
});

/** As the manifests of this release have it: labels, account and network rules of a migration are theirs. */
async function migrationOf(place: ReleasesPlace, region: string, image: string) {
  const text = await place.manifestOf(region, migrationFile);
  const manifest: unknown = parseAllDocuments(text)
    .map((document): unknown => document.toJS())
    .find((object) => z.object({ kind: z.literal('Job') }).safeParse(object).success);
  const { metadata, spec } = jobSchema.parse(manifest);
  const made = spec.template.spec.containers[0]?.image;
  const wanted = imageIn(place, region, image);
  if (made !== wanted) {
    throw new Error(
      `${migrationFile} of ${region} is made for ${made ?? 'nothing'}: name ${wanted} in holdfast.config.ts, then npm run synth`,
    );
  }
  return { name: metadata.name, manifest };
}

async function jobState(
  kubectl: Kubectl,
  region: string,
  name: string,
  signal: AbortSignal,
): Promise<'absent' | 'running' | 'succeeded' | 'failed'> {
  const { items } = jobsSchema.parse(JSON.parse(await kubectl(region, ['get', 'jobs', '--output=json'], signal)));
  const found = items.find(({ metadata }) => metadata.name === name);
  if (found === undefined) return 'absent';
  if (found.status.succeeded > 0) return 'succeeded';
  const hasFailed = found.status.conditions.some(({ type, status }) => type === 'Failed' && status === 'True');
  return hasFailed ? 'failed' : 'running';
}

async function obstacles(
  clients: AwsClients,
  place: ReleasesPlace,
  image: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { platform, kubectl } = place;
  const faults: string[] = [];
  const digest = digestOf(image);
  if (digest === undefined)
    faults.push(`${image} has no digest: a tag may mean another image tomorrow; write NAME@sha256:...`);
  try {
    await migrationOf(place, await place.writer(signal), image);
  } catch (error) {
    signal.throwIfAborted();
    faults.push(error instanceof Error ? error.message : String(error));
  }
  for (const region of platform.regions) {
    const { gateway } = await gatewaysOf(kubectl, region.region, signal);
    const keeper = keeperOf(gateway);
    if (keeper !== undefined) faults.push(`${region.region}: ${keeper}`);
    if (!isRolledOut(gateway) && gateway.metadata.annotations[notes.zone] === undefined) {
      faults.push(`${region.region}: a rollout of ${kubernetes.gateway} is under way`);
    }
    if (digest === undefined || platform.imageDigest === undefined) continue;
    if (!(await hasImage(clients, platform, region, digest, signal))) {
      faults.push(
        `${region.region}: its registry has no ${digest}; push it to one region, AWS copies it to the others`,
      );
    }
  }
  return faults;
}

/** Pure. What would set the image back by itself. */
export function keeperOf({ metadata }: Pick<Workload, 'metadata'>): string | undefined {
  const { labels, annotations } = metadata;
  const isFlux = 'kustomize.toolkit.fluxcd.io/name' in labels || 'helm.toolkit.fluxcd.io/name' in labels;
  if (isFlux && annotations['kustomize.toolkit.fluxcd.io/reconcile'] !== 'disabled') {
    return 'Flux would set the image back: suspend it (flux suspend), and commit the image once the run is complete';
  }
  const application = annotations['argocd.argoproj.io/tracking-id']?.split(':')[0];
  if (application !== undefined && annotations['holdfast/released-by'] !== 'runbook') {
    return `Argo CD would set the image back: argocd app set ${application} --sync-policy none, kubectl annotate ${kubernetes.gateway} holdfast/released-by=runbook, and commit the image once the run is complete`;
  }
  return undefined;
}

async function hasImage(
  clients: AwsClients,
  platform: Platform,
  { region, account }: Region,
  imageDigest: string,
  signal: AbortSignal,
) {
  const target = 'AmazonEC2ContainerRegistry_V20150921.DescribeImages';
  const body = { registryId: account, repositoryName: repositoryName(platform), imageIds: [{ imageDigest }] };
  try {
    await clients.call(region, jsonCall('ecr', 'api.ecr', target, body), signal);
    return true;
  } catch (error) {
    if (isNamed(error, 'ImageNotFoundException', 'RepositoryNotFoundException')) return false;
    throw error;
  }
}
