import type { Step } from '../../engine/step.ts';
import type { CapacityWorld } from '../region-world.ts';

/** Before traffic moves: a region that is too small turns a move into a second outage. */
export const capacityStep = (region: string): Step<CapacityWorld> => ({
  id: 'capacity',
  title: `Make ${region} large enough for all of the load`,
  words: {
    check: `are as many pods of gateway and agentgateway ready in ${region} as the load needs?`,
    act: `raise the number of pods in ${region}`,
    commands: [
      `kubectl --context ${region} -n holdfast get deploy,statefulset`,
      `kubectl --context ${region} -n holdfast patch hpa gateway -p '{"spec":{"minReplicas":NEEDED}}'`,
      `kubectl --context ${region} -n holdfast scale deployment/agentgateway --replicas=NEEDED   # where there is one`,
    ],
    canGoWrong: ['nodes are not to be had: go on with what is ready, and shed load by priority'],
  },
  patienceSeconds: 300,
  check: async (world, { signal }) => {
    const { ready, needed } = await world.capacity.read(region, signal);
    const note = `${ready} of ${needed} pods are ready`;
    return ready >= needed ? { is: 'done', note } : { is: 'ready', note };
  },
  act: async (world, { signal }) => {
    const { needed } = await world.capacity.read(region, signal);
    await world.capacity.raise(region, needed, signal);
  },
  undo: { stays: 'too many pods harm nobody; the floor is lowered again when the manifests are applied the next time' },
});
