/** Pods of gateway and agentgateway, through kubectl: the operator has it, and its context for each region. */
import { z } from 'zod';
import { kubernetes } from '../../lib/platform/names.ts';
import type { Capacity, RegionCapacity } from '../books/region-world.ts';
import { runCommand } from '../lab/run-command.ts';

export interface KubectlOptions {
  /** `kubectl`, or what takes its place. */
  readonly command: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Name of the context of a region. */
  readonly contextOf: (region: string) => string;
  /** Pods that the load needs, by workload; all that are asked for must be ready. */
  readonly needed: (region: string) => Readonly<Record<string, number>>;
}

const timeoutSeconds = 20;

const listSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z.object({ readyReplicas: z.number().default(0) }).default({ readyReplicas: 0 }),
    }),
  ),
});

export function kubectlCapacity({ command, environment, contextOf, needed }: KubectlOptions): RegionCapacity {
  const kubectl = (region: string, args: readonly string[], signal: AbortSignal): Promise<string> =>
    runCommand(
      {
        command,
        args: ['--context', contextOf(region), '--namespace', kubernetes.namespace, '--request-timeout=10s', ...args],
        ...(environment === undefined ? {} : { environment }),
      },
      { timeoutSeconds, signal },
    );
  return {
    read: async (region, signal) => {
      const text = await kubectl(region, ['get', 'deployments,statefulsets', '--output=json'], signal);
      return capacityOf(text, needed(region));
    },
    raise: async (region, _to, signal) => {
      for (const [name, count] of Object.entries(needed(region))) {
        // The autoscaler would take away again what `kubectl scale` adds.
        const patch = JSON.stringify({ spec: { minReplicas: count } });
        await kubectl(region, ['patch', 'horizontalpodautoscaler', name, '--type=merge', `--patch=${patch}`], signal);
      }
    },
  };
}

/** Pure. Pods of one workload do not make up for those that another lacks. */
export function capacityOf(list: string, needed: Readonly<Record<string, number>>): Capacity {
  const { items } = listSchema.parse(JSON.parse(list));
  const ready = new Map(items.map(({ metadata, status }) => [metadata.name, status.readyReplicas]));
  const wanted = Object.entries(needed);
  return {
    ready: wanted.reduce((sum, [name, count]) => sum + Math.min(count, ready.get(name) ?? 0), 0),
    needed: wanted.reduce((sum, [, count]) => sum + count, 0),
  };
}
