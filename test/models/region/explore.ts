/** The mixes of the region protocol that are too large for every test run: `npm run model:region [NAME...]`. */
import { explore } from './checker.ts';
import { leaseModel } from './lease-model.ts';
import { chosen, type RegionVariant, regionModel } from './region-model.ts';

const mostStates = 15_000_000;
const lease = { drift: 1, stamp: 'send', waitStarts: 'after-seizing' } as const;

const mixes: Readonly<Record<string, Partial<RegionVariant> & { readonly recovers?: true }>> = {
  'two-writes': {},
  'two-operators': { events: 0, operators: 2 },
  'two-events': { writes: 0, events: 2, operators: 2 },
  'two-gateways': { gatewaysPerRegion: 2, events: 0, operators: 2, maxEpoch: 2 },
  'three-writes': { gatewaysPerRegion: 2, writes: 3, events: 0 },
  'write-and-event': { writes: 1, operators: 2 },
  recovery: { writes: 1, recovers: true },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in mixes) && name !== 'lease');
if (unknown.length > 0) {
  process.stderr.write(`There is no mix ${unknown.join(', ')}; there are: lease, ${Object.keys(mixes).join(', ')}\n`);
  process.exit(2);
}
const wanted = (name: string): boolean => asked.length === 0 || asked.includes(name);
let failed = false;

function report(name: string, begun: number, result: ReturnType<typeof explore>): void {
  const { states, transitions, complete, violated, stuck, trace } = result;
  const verdict =
    violated ?? (stuck ? 'STUCK' : complete ? 'holds' : 'holds as far as explored: the bound was reached');
  const seconds = ((performance.now() - begun) / 1000).toFixed(1);
  process.stdout.write(`${name}: ${states} states, ${transitions} transitions, ${seconds} s: ${verdict}\n`);
  for (const [index, step] of trace.entries()) process.stdout.write(`  ${index + 1}. ${step}\n`);
  failed ||= violated !== undefined || stuck || !complete;
}

if (wanted('lease')) {
  const begun = performance.now();
  report('lease', begun, explore(leaseModel({ ...lease, buckets: 3, quorum: 2, ttl: 2, wait: 3 }), mostStates));
}
for (const [name, { recovers, ...variant }] of Object.entries(mixes)) {
  if (!wanted(name)) continue;
  const begun = performance.now();
  const model = regionModel({ ...chosen, ...variant }, { withRecovery: recovers === true });
  report(name, begun, explore(model, mostStates));
}
process.exitCode = failed ? 1 : 0;
