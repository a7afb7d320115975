/** One gateway of a history in a process of its own, with its clients, so that it can be killed. */
import { regionRules } from '../../../gateway/region/rules.ts';
import { Random } from '../../gateway/admission/simulation/random.ts';
import { clientsOf, type Order, slowDown, type Told } from './member.ts';
import { type GatewayPlace, RegionGateway } from './region-gateway.ts';

const [text = ''] = process.argv.slice(2);
const { place, seed }: { readonly place: GatewayPlace; readonly seed: number } = JSON.parse(text);
const random = new Random(seed);
const tell = (told: Told): void => void process.send?.(told);

// Whoever started it is gone.
process.once('disconnect', () => process.exit(1));
const gateway = new RegionGateway({
  place,
  rules: regionRules,
  record: (event) => tell({ is: 'event', event, atNs: String(process.hrtime.bigint()) }),
  onListening: (port) => tell({ is: 'listening', port }),
});
slowDown(gateway, random);
await gateway.start();
const rest = clientsOf(gateway, random);
process.on('message', (order: Order) => {
  switch (order.is) {
    case 'hurry':
      gateway.beforeCommit = async () => undefined;
      gateway.afterCommit = async () => undefined;
      return;
    case 'rest':
      void rest().then(() => tell({ is: 'rested' }));
      return;
    case 'settle':
      void gateway.outbox.heartbeat.beat().then(() => tell({ is: 'settled', queued: gateway.outbox.queued }));
  }
});
tell({ is: 'started' });
