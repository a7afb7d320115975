/**
 * Which database a region's gateways use. A restored one takes over the name of the old one, and with it the address: no
 * secret changes, no gateway restarts, and the stack still knows its database. The old one stays, under another name.
 */
import { type DBInstance, ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import { ArchivedSpend, type SpendPlaces } from '../books/archived-spend.ts';
import type { DatabaseInUse } from '../books/database-restore.ts';
import { asideName } from './aside-name.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { describeInstance, staysAsItIs } from './region-database.ts';
import { regionRows } from './region-rows.ts';
import { restoredUrl } from './restored-database.ts';
import { restoredTag } from './restored-tag.ts';

export interface InUsePlace extends Omit<SpendPlaces, 'drainedSeconds'> {
  /** Of the region's database, as the stack names it. */
  readonly identifierIn: (region: string) => string;
  readonly databaseUrl: (region: string) => string;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

const betweenLooksSeconds = 10;
/** A Prometheus looks now and then. */
const drainedSeconds = 30;

export function awsDatabaseInUse(clients: AwsClients, place: InUsePlace): Omit<DatabaseInUse, 'forgotten' | 'forget'> {
  const { identifierIn, databaseUrl, wait } = place;
  const { missingSpend, reingest } = new ArchivedSpend({ ...place, drainedSeconds });
  const find = (region: string, name: string, signal: AbortSignal) => describeInstance(clients, region, name, signal);
  /** Where it stands by now: under its own name or, once it is in use, under the stack's. */
  const rowsOf = async (region: string, name: string, signal: AbortSignal) => {
    const instance = await restoredInstance(clients, region, name, identifierIn(region), signal);
    const { Address: host, Port: port } = instance?.Endpoint ?? {};
    if (host === undefined) throw new Error(`RDS names no address of ${name}`);
    return regionRows(restoredUrl(databaseUrl(region), host, port));
  };
  const atRest = async (region: string, name: string, signal: AbortSignal): Promise<DBInstance | undefined> => {
    for (;;) {
      const found = await find(region, name, signal);
      if (found === undefined || found.DBInstanceStatus === 'available') return found;
      if (staysAsItIs(found.DBInstanceStatus)) {
        throw new Error(
          `${name} is ${found.DBInstanceStatus}, and RDS renames only what is available: start or mend it, or delete it with a final snapshot; then resume`,
        );
      }
      await wait(betweenLooksSeconds, signal);
    }
  };
  return {
    name: async (region, signal) => {
      const identifier = identifierIn(region);
      const instance = await find(region, identifier, signal);
      if (instance?.DBInstanceStatus !== 'available') return undefined;
      return tagOf(instance) ?? identifier;
    },
    use: async (region, name, _token, signal) => {
      const identifier = identifierIn(region);
      const old = await atRest(region, identifier, signal);
      if (old !== undefined && tagOf(old) === name) return;
      if (old !== undefined) {
        const aside = asideName(identifier, name);
        await rename(clients, region, identifier, { NewDBInstanceIdentifier: aside }, signal);
        while ((await find(region, identifier, signal)) !== undefined) await wait(betweenLooksSeconds, signal);
      }
      // What a restore leaves out, and the stack asks for.
      const like = { MultiAZ: old?.MultiAZ ?? true, DeletionProtection: true };
      await rename(clients, region, name, { NewDBInstanceIdentifier: identifier, ...like }, signal);
      await atRest(region, identifier, signal);
    },
    raise: async (region, name, epoch, writer, signal) =>
      (await rowsOf(region, name, signal)).raise(epoch, writer, signal),
    epochOf: async (region, name, signal) => (await (await rowsOf(region, name, signal)).read(signal)).epoch,
    missingSpend,
    reingest,
  };
}

/** A restored database by the name that it was restored under, wherever it stands. */
export async function restoredInstance(
  clients: AwsClients,
  region: string,
  name: string,
  identifier: string,
  signal: AbortSignal,
): Promise<DBInstance | undefined> {
  const own = await describeInstance(clients, region, name, signal);
  if (own !== undefined) return own;
  const inUse = await describeInstance(clients, region, identifier, signal);
  return inUse !== undefined && tagOf(inUse) === name ? inUse : undefined;
}

const tagOf = ({ TagList = [] }: DBInstance): string | undefined =>
  TagList.find(({ Key }) => Key === restoredTag)?.Value;

async function rename(
  clients: AwsClients,
  region: string,
  name: string,
  change: { NewDBInstanceIdentifier: string; MultiAZ?: boolean; DeletionProtection?: boolean },
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await clients
      .rds(region)
      .send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: name, ApplyImmediately: true, ...change }), {
        abortSignal,
      });
  } catch (error) {
    // Renamed already, by a run that was interrupted: whoever asks reads back what stands there.
    if (!isNamed(error, 'DBInstanceNotFoundFault', 'DBInstanceNotFound', 'InvalidDBInstanceStateFault')) throw error;
  }
}
