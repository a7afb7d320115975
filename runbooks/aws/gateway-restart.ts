/** Gateways remember what a database has said. After a restore they start anew, one after the other; each drains first. */
import { kubernetes } from '../../lib/platform/names.ts';
import type { DatabaseInUse } from '../books/database-restore.ts';
import type { Kubectl } from './kubectl.ts';
import { isRolledOut, readWorkloads, type Workload } from './workloads.ts';

/** On the pods: which restored database they have begun with. */
const restoredNote = 'holdfast/restored';

export function gatewayRestart(kubectl: Kubectl): Pick<DatabaseInUse, 'forgotten' | 'forget'> {
  const gateway = async (region: string, signal: AbortSignal): Promise<Workload> => {
    const workloads = await readWorkloads(kubectl, region, signal);
    const found = workloads.find(({ metadata }) => metadata.name === kubernetes.gateway);
    if (found === undefined) throw new Error(`the cluster in ${region} has no ${kubernetes.gateway}`);
    return found;
  };
  return {
    forgotten: async (region, name, signal) => {
      const found = await gateway(region, signal);
      if (found.spec.template.metadata.annotations[restoredNote] !== name) return 'none';
      return isRolledOut(found) ? 'all' : 'some';
    },
    forget: async (region, name, signal) => {
      const { kind } = await gateway(region, signal);
      const patch = JSON.stringify({ spec: { template: { metadata: { annotations: { [restoredNote]: name } } } } });
      const target = [kind.toLowerCase(), kubernetes.gateway];
      await kubectl(region, ['patch', ...target, '--type=strategic', `--patch=${patch}`], signal);
    },
  };
}
