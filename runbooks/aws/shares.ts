/**
 * Shares of clients as weighted records. This is Route 53's control plane, in us-east-1: for failback, which can wait for
 * it, and never for failover. A change counts when Route 53 says that all of its servers have it.
 */
import {
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  ListResourceRecordSetsCommand,
  type ResourceRecordSet,
} from '@aws-sdk/client-route-53';
import type { CanaryWorld } from '../books/canary-world.ts';
import type { AwsClients } from './clients.ts';

export interface SharesPlace {
  readonly hostedZoneId: string;
  /** Name that is divided, without the dot at its end. */
  readonly name: string;
  /** Record set identifier of a region's weighted record. */
  readonly setIdentifier: (region: string) => string;
  /** Everybody who gets a share. */
  readonly regions: readonly string[];
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

const betweenLooksSeconds = 2;

export function awsShares(clients: AwsClients, place: SharesPlace): CanaryWorld['shares'] {
  const client = clients.route53();
  const records = async (abortSignal: AbortSignal): Promise<readonly ResourceRecordSet[]> => {
    const { ResourceRecordSets = [] } = await client.send(
      new ListResourceRecordSetsCommand({ HostedZoneId: place.hostedZoneId, StartRecordName: place.name }),
      { abortSignal },
    );
    return ResourceRecordSets.filter(
      ({ Name, Weight }) => Name?.replace(/\.$/, '') === place.name && Weight !== undefined,
    );
  };
  return {
    read: async (region, signal) => shareOf(await records(signal), place.setIdentifier(region)),
    set: async (region, percent, abortSignal) => {
      const found = await records(abortSignal);
      const others = place.regions.filter((one) => one !== region);
      const weights = new Map([
        [place.setIdentifier(region), percent],
        ...others.map((one) => [place.setIdentifier(one), (100 - percent) / others.length] as const),
      ]);
      const Changes = [...weights].map(([id, weight]) => {
        const record = found.find(({ SetIdentifier }) => SetIdentifier === id);
        if (record === undefined) {
          throw new Error(`${place.name} has no weighted record ${id}; deploy the dns stack with shares first`);
        }
        return { Action: 'UPSERT' as const, ResourceRecordSet: { ...record, Weight: Math.round(weight) } };
      });
      const { ChangeInfo } = await client.send(
        new ChangeResourceRecordSetsCommand({ HostedZoneId: place.hostedZoneId, ChangeBatch: { Changes } }),
        { abortSignal },
      );
      for (let status = ChangeInfo?.Status; status !== 'INSYNC'; ) {
        await place.wait(betweenLooksSeconds, abortSignal);
        status = (await client.send(new GetChangeCommand({ Id: ChangeInfo?.Id }), { abortSignal })).ChangeInfo?.Status;
      }
    },
  };
}

/** Pure. Undefined = the name is not divided. */
export function shareOf(
  records: readonly Pick<ResourceRecordSet, 'SetIdentifier' | 'Weight'>[],
  setIdentifier: string,
): number | undefined {
  const total = records.reduce((sum, { Weight = 0 }) => sum + Weight, 0);
  const own = records.find((record) => record.SetIdentifier === setIdentifier);
  if (own?.Weight === undefined) return undefined;
  return total === 0 ? 0 : Math.round((100 * own.Weight) / total);
}
