/** Each book with the parameters and the world of its test. */
import { buildBook, type Parameters } from '../../../runbooks/books/registry.ts';
import type { World } from '../../../runbooks/books/world.ts';
import type { RunbookId } from '../../../runbooks/catalog.ts';
import type { Runbook } from '../../../runbooks/engine/step.ts';
import { SimulatedWorld } from './simulated-world.ts';

export interface BookCase {
  readonly id: RunbookId;
  readonly parameters: Parameters;
  readonly book: Runbook<World>;
  /** As it is before the run. */
  readonly world: () => SimulatedWorld;
}

function withoutA(): SimulatedWorld {
  const world = new SimulatedWorld();
  world.database('a').away = true;
  return world;
}

function withCluster(): SimulatedWorld {
  const world = new SimulatedWorld();
  world.pods.set('a', { ready: 1, needed: 3 });
  return world;
}

function withClusters(): SimulatedWorld {
  const world = new SimulatedWorld();
  for (const region of ['a', 'b']) world.versions.set(`cluster/${region}`, '1.36');
  return world;
}

const of = (id: RunbookId, parameters: Parameters, world: () => SimulatedWorld): BookCase => ({
  id,
  parameters,
  book: buildBook(id, parameters),
  world,
});

const regions = { primary: 'a', standbys: 'b' } as const;

export const everyBook: readonly BookCase[] = [
  of('region-failover', { target: 'b', former: 'a', cache: 'promote' }, withoutA),
  of('region-switchover', { target: 'b', former: 'a' }, () => new SimulatedWorld()),
  of('region-failback', { target: 'a', former: 'b', bakeSeconds: '30' }, () => SimulatedWorld.failedOver()),
  of('zone-evacuation', { region: 'a', zone: 'a1' }, withCluster),
  of('database-restore', { region: 'a', way: 'point-in-time' }, withoutA),
  of('database-restore', { region: 'a', way: 'dump' }, withoutA),
  of('disaster-restore', { region: 'b', former: 'a', way: 'snapshot' }, withoutA),
  of('disaster-restore', { region: 'a', former: 'a', way: 'snapshot', vault: 'none' }, withoutA),
  of('backup-verify', { region: 'a' }, () => new SimulatedWorld()),
  of('credential-rotation', { region: 'a', credential: 'database' }, () => new SimulatedWorld()),
  of('release', { ...regions, image: 'image:2', zone: 'a1', bakeSeconds: '30' }, () => new SimulatedWorld()),
  of('upgrade', { ...regions, component: 'database', to: '18.6' }, () => new SimulatedWorld()),
  of('upgrade', { ...regions, component: 'cluster', to: '1.37' }, withClusters),
  of('drill', { environment: 'lab', fault: 'kill', target: 'b', former: 'a' }, () => new SimulatedWorld()),
  of('drill', { environment: 'lab', fault: 'partition', target: 'b', former: 'a' }, () => new SimulatedWorld()),
];
