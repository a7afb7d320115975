/** What a region's cluster runs, as kubectl tells it. */
import { z } from 'zod';
import type { Kubectl } from './kubectl.ts';

const labels = z.record(z.string(), z.string()).default({});
const template = z.object({
  metadata: z.object({ labels, annotations: labels }).default({ labels: {}, annotations: {} }),
  spec: z.object({ containers: z.array(z.object({ name: z.string(), image: z.string() })) }),
});
const workloadSchema = z.object({
  kind: z.string(),
  metadata: z.object({ name: z.string(), labels, annotations: labels, generation: z.number().default(0) }),
  spec: z.object({
    replicas: z.number().default(1),
    paused: z.boolean().default(false),
    selector: z.object({ matchLabels: labels }),
    updateStrategy: z.object({ type: z.string().default('RollingUpdate') }).default({ type: 'RollingUpdate' }),
    template,
  }),
  status: z
    .object({
      observedGeneration: z.number().default(0),
      readyReplicas: z.number().default(0),
      updatedReplicas: z.number().default(0),
      replicas: z.number().default(0),
    })
    .default({ observedGeneration: 0, readyReplicas: 0, updatedReplicas: 0, replicas: 0 }),
});
const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    labels,
    annotations: labels,
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.object({
    nodeName: z.string().optional(),
    containers: z.array(z.object({ name: z.string(), image: z.string() })),
  }),
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) })
    .default({ conditions: [] }),
});
const nodeSchema = z.object({ metadata: z.object({ name: z.string(), labels }) });

export type Workload = z.output<typeof workloadSchema>;
export type Pod = z.output<typeof podSchema>;

const listOf = <Schema extends z.ZodType>(schema: Schema, text: string): z.output<Schema>[] =>
  z.object({ items: z.array(schema) }).parse(JSON.parse(text)).items;

/** Looks at what runs in a region. */
export type ReadWorkloads = (region: string, signal: AbortSignal) => Promise<readonly Workload[]>;

/** The API's own list, whose entries do not say what they are. */
export const workloadsIn = (kind: 'Deployment' | 'StatefulSet', answer: unknown): Workload[] =>
  z
    .object({ items: z.array(z.looseObject({})) })
    .parse(answer)
    .items.map((item) => workloadSchema.parse({ ...item, kind }));

/** Deployments and StatefulSets of the platform. */
export const readWorkloads = async (kubectl: Kubectl, region: string, signal: AbortSignal): Promise<Workload[]> =>
  listOf(workloadSchema, await kubectl(region, ['get', 'deployments,statefulsets', '--output=json'], signal));

/** Of one workload, without those that are on their way out. */
export async function readPods(
  kubectl: Kubectl,
  region: string,
  workload: Pick<Workload, 'spec'>,
  signal: AbortSignal,
): Promise<Pod[]> {
  const selector = Object.entries(workload.spec.selector.matchLabels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
  const text = await kubectl(region, ['get', 'pods', `--selector=${selector}`, '--output=json'], signal);
  return listOf(podSchema, text).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Zone of each node, by the node's name. */
export async function zonesOfNodes(
  kubectl: Kubectl,
  region: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const nodes = listOf(nodeSchema, await kubectl(region, ['get', 'nodes', '--output=json'], signal));
  return new Map(
    nodes.map(({ metadata }) => [metadata.name, metadata.labels['topology.kubernetes.io/zone'] ?? 'unknown']),
  );
}

export const isReady = ({ status }: Pick<Pod, 'status'>): boolean =>
  status.conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');

/** Every pod is of the newest template, ready, and none of an older one is left. */
export const isRolledOut = ({ metadata, spec, status }: Workload): boolean =>
  status.observedGeneration >= metadata.generation &&
  status.updatedReplicas >= spec.replicas &&
  status.readyReplicas >= spec.replicas &&
  status.replicas === status.updatedReplicas;
