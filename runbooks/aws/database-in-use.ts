/**
 * Which database a region's gateways use. A restored one takes over the name of the old one, and with it the address: no
 * secret changes, no gateway restarts, and the stack still knows its database. The old one stays, under another name.
 */
import { type DBInstance, ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import type { DatabaseInUse } from '../books/database-restore.ts';
import { asideName } from './aside-name.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { describeInstance, staysAsItIs } from './region-database.ts';
import { regionRows } from './region-rows.ts';
import { restoredUrl } from './restored-database.ts';
import { restoredTag } from './restored-tag.ts';

export interface InUsePlace {
  /** Of the region's database, as the stack names it. */
  readonly identifierIn: (region: string) => string;
  readonly databaseUrl: (region: string) => string;
  /** Seconds since the oldest spend event that a gateway of the region has not shipped yet. */
  readonly oldestUnshippedSeconds: (region: string, signal: AbortSignal) => Promise<number | undefined>;
  /**
   * Books the archived spend of all regions into the region's database, as `holdfast spend reingest` does; undefined = there
   * is no archive. May be repeated. @returns how many events neither archive nor database have.
   */
  readonly reingest?: ((region: string, signal: AbortSignal) => Promise<number>) | undefined;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

const betweenLooksSeconds = 10;
/** Events of the last moments are on their way at all times. */
const drainedSeconds = 30;

export function awsDatabaseInUse(clients: AwsClients, place: InUsePlace): Omit<DatabaseInUse, 'forgotten' | 'forget'> {
  const { identifierIn, databaseUrl, wait } = place;
  /** Events that are nowhere, by region; known once its archive was gone through. A run that is resumed goes through it again. */
  const lost = new Map<string, number>();
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
    missingSpend: async (region, signal) => {
      const oldest = await place.oldestUnshippedSeconds(region, signal);
      if (oldest === undefined || oldest > drainedSeconds) return { events: undefined, isBeingShipped: true };
      // What had left the outboxes after the backup is in the archive alone, if there is one.
      if (place.reingest === undefined) return { events: undefined, isBeingShipped: false };
      const events = lost.get(region);
      return { events: events === undefined ? 'archived' : 0, isBeingShipped: false, lost: events };
    },
    reingest: async (region, _token, signal) => {
      if (place.reingest === undefined) throw new Error('there is no archive of what the outboxes have shipped');
      lost.set(region, await place.reingest(region, signal));
    },
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
