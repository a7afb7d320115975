/** Work that ends: once, or again and again. */
import { k8s } from 'cdk8s-plus-28';
import { labels } from './labels.ts';
import type { ChartObject } from './object.ts';
import { containerSecurity, isolated, podSecurity } from './security.ts';
import { metadataOf, type WorkloadOptions } from './workload.ts';

type Step = Omit<k8s.Container, 'securityContext'>;

export interface JobOptions extends Pick<WorkloadOptions, 'platform' | 'component' | 'image'> {
  /** One after the other; the last is the job's own container. */
  readonly steps: readonly [...Step[], Step];
  /** Run beside the steps, from before the first to after the last. */
  readonly sidecars?: readonly k8s.Container[];
  readonly volumes: readonly k8s.Volume[];
  readonly deadlineSeconds: number;
  readonly retries: number;
  /** Has rights in the cloud by its name; absent = none. */
  readonly serviceAccountName?: string;
}

export const jobSpec = (options: JobOptions): k8s.JobSpec => {
  const containers = options.steps.map((step) => ({
    imagePullPolicy: 'IfNotPresent',
    ...step,
    securityContext: containerSecurity(),
  }));
  return {
    backoffLimit: options.retries,
    activeDeadlineSeconds: options.deadlineSeconds,
    ttlSecondsAfterFinished: 86_400,
    template: {
      metadata: { labels: labels(options.platform, options.component, options.image) },
      spec: {
        ...isolated,
        ...(options.serviceAccountName === undefined ? {} : { serviceAccountName: options.serviceAccountName }),
        restartPolicy: 'Never',
        securityContext: podSecurity(),
        initContainers: [...(options.sidecars ?? []), ...containers.slice(0, -1)],
        containers: containers.slice(-1),
        volumes: [...options.volumes],
      },
    },
  };
};

/** @param schedule in UTC; a run that could not start within `lateSeconds` is left out, never two at once. */
export function cronJob(
  options: JobOptions & { readonly schedule: string; readonly lateSeconds: number },
): ChartObject {
  return {
    manifest: k8s.KubeCronJob.manifest({
      metadata: metadataOf(options),
      spec: {
        schedule: options.schedule,
        timeZone: 'Etc/UTC',
        concurrencyPolicy: 'Forbid',
        startingDeadlineSeconds: options.lateSeconds,
        successfulJobsHistoryLimit: 1,
        failedJobsHistoryLimit: 3,
        jobTemplate: { spec: jobSpec(options) },
      },
    }),
  };
}

/** A service account without a token: the cloud's identity service knows pods by its name. */
export const identity = (options: Pick<WorkloadOptions, 'platform' | 'component' | 'image'>): ChartObject => ({
  manifest: k8s.KubeServiceAccount.manifest({ metadata: metadataOf(options), automountServiceAccountToken: false }),
});
