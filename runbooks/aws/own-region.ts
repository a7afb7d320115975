/**
 * What a region asks of itself from a pod of its own cluster: the checks of `holdfast region ready` without kubectl, and without
 * rights in any other cluster. What others run, their gateways say on their pages.
 */
import { askKubernetes, type KubernetesPlace } from '../../gateway/region/kubernetes-api.ts';
import { imageLabel } from '../../lib/platform/names.ts';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import { awsBackups } from './backups.ts';
import { type BucketIn, openClaims } from './claims.ts';
import { type AwsAccess, AwsClients } from './clients.ts';
import { capacityOf } from './cluster-capacity.ts';
import { putReadiness } from './ready-metrics.ts';
import { awsReadiness, neededPods, readinessOf } from './region-readiness.ts';
import { runningImage } from './releases.ts';
import { type ReadWorkloads, workloadsIn } from './workloads.ts';

export interface OwnRegionOptions {
  readonly platform: Platform;
  /** One of the platform's. */
  readonly region: Region;
  readonly access: AwsAccess;
  /** One or three, in different regions. */
  readonly claims: readonly BucketIn[];
  readonly kubernetes: KubernetesPlace;
  /** What the gateways of another region say that they run. @throws when they do not. */
  readonly imageElsewhere: (region: string, signal: AbortSignal) => Promise<string>;
}

export function ownRegion(options: OwnRegionOptions) {
  const { platform, region: own, access, imageElsewhere } = options;
  const clients = new AwsClients(access);
  const claims = openClaims(options.claims, access);
  const workloads = ownWorkloads(options.kubernetes);
  const regionOf = (name: string): Region => {
    if (name === own.region) return own;
    throw new Error(`${own.region} looks at itself alone, not at ${name}`);
  };
  const backups = awsBackups(clients, { platform, regionOf, databaseUrl: () => '' });
  const capacity = {
    read: async (name: string, signal: AbortSignal) =>
      capacityOf(await workloads(name, signal), neededPods(platform, regionOf(name))),
  };
  return {
    world: { claims: claims.store, capacity },
    readiness: awsReadiness(clients, {
      ...readinessOf(platform, regionOf),
      newestBackup: (...asked) => backups.newestBackup(...asked),
      // By the part of its name that pages show, too.
      imageIn: async (name, signal) =>
        imageLabel(
          name === own.region ? runningImage(await workloads(name, signal), name) : await imageElsewhere(name, signal),
        ),
    }),
    publishReadiness: (results: Parameters<typeof putReadiness>[1], signal: AbortSignal): Promise<void> =>
      putReadiness(clients, results, signal),
    close: async (): Promise<void> => {
      clients.destroy();
      claims.destroy();
    },
  };
}

const ownWorkloads =
  (place: KubernetesPlace): ReadWorkloads =>
  async (_region, signal) => {
    const ask = async (path: string): Promise<unknown> => {
      const { body } = await askKubernetes(place, { method: 'GET', group: 'apps/v1', path, expected: [200], signal });
      return body;
    };
    const [deployments, statefulSets] = await Promise.all([ask('deployments'), ask('statefulsets')]);
    return [...workloadsIn('Deployment', deployments), ...workloadsIn('StatefulSet', statefulSets)];
  };
