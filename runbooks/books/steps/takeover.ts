import type { Step } from '../../engine/step.ts';
import type { RegionWorld } from '../region-world.ts';

/** Moves clients on the data plane: no record is changed, so Route 53's control plane is not needed. */
export const takeoverStep = (target: string): Step<RegionWorld> => ({
  id: 'traffic',
  title: `Move traffic to ${target}`,
  words: {
    check: `is there a takeover object in ${target}, and which run has put it?`,
    act: `put the takeover object in ${target}; the health checks of the other region see it and fail`,
    commands: [
      `echo '{"run":"by-hand","epoch":0}' > takeover.json`,
      `aws s3 cp takeover.json s3://TAKEOVER-BUCKET/takeover.json --region ${target} --cache-control no-store`,
    ],
    takeBack: 'deletes the object; clients return when the health checks of the other region pass again',
    canGoWrong: [
      'AWS gives no credentials: a profile with a role asks for them in its own `region`; name one there that works',
      'the object cannot be put: change the DNS records, which needs the control plane in us-east-1',
      'clients with pinned connections or addresses stay: the former region goes on serving them if it lives',
    ],
  },
  patienceSeconds: 60,
  check: async (world, { signal, runId }) => {
    const run = await world.traffic.takeover(target, signal);
    if (run === undefined) return { is: 'ready' };
    return run === runId ? { is: 'done' } : { is: 'done', note: `the run ${run} has put it` };
  },
  act: async (world, { signal, runId }) => {
    const { newest } = await world.claims.read(signal);
    await world.traffic.takeOver(target, runId, newest?.epoch ?? 0, signal);
  },
  undo: (world, { signal }) => world.traffic.giveBack(target, signal),
});
