/**
 * Zonal shifts of ARC, for which this registry has no client package: signed calls, after the service's published model
 * (botocore, arc-zonal-shift/2022-10-30). Zones go by their ids, which mean the same place in every account.
 */
import { z } from 'zod';
import type { AwsClients } from './clients.ts';
import { AwsCallError, queryCall, valuesOf } from './signed-call.ts';

const service = 'arc-zonal-shift';

const resourceSchema = z.object({ appliedWeights: z.record(z.string(), z.number()).default({}) });
const shiftsSchema = z.object({
  items: z
    .array(z.object({ zonalShiftId: z.string(), awayFrom: z.string(), shiftType: z.string().default('ZONAL_SHIFT') }))
    .default([]),
  nextToken: z.string().nullish(),
});

/** Whether traffic of the resource is kept away from the zone now, whoever did it: a person, a practice run, AWS itself. */
export async function isAway(
  clients: AwsClients,
  region: string,
  resourceArn: string,
  zoneId: string,
  signal: AbortSignal,
): Promise<boolean> {
  const path = `/managedresources/${encodeURIComponent(resourceArn)}`;
  const text = await clients.call(region, { service, method: 'GET', path }, signal);
  const weight = resourceSchema.parse(JSON.parse(text)).appliedWeights[zoneId];
  if (weight === undefined)
    throw new Error(`${resourceArn} does not stand in ${zoneId}, or has no zonal shift enabled`);
  return weight === 0;
}

/** One that is in force already is left as it is. */
export async function startShift(
  clients: AwsClients,
  region: string,
  shift: { readonly resourceArn: string; readonly zoneId: string; readonly minutes: number; readonly comment: string },
  signal: AbortSignal,
): Promise<void> {
  const { resourceArn, zoneId, minutes, comment } = shift;
  const body = { resourceIdentifier: resourceArn, awayFrom: zoneId, expiresIn: `${Math.ceil(minutes)}m`, comment };
  const headers = { 'content-type': 'application/json' };
  try {
    await clients.call(region, { service, path: '/zonalshifts', headers, body: JSON.stringify(body) }, signal);
  } catch (error) {
    // A run that goes on asks again; whether the zone is the same, the look afterwards tells.
    if (!(error instanceof AwsCallError && error.reason === 'ZonalShiftAlreadyExists')) throw error;
  }
}

/** Ends what people have started; practice runs and AWS's own shifts end by themselves. */
export async function endShifts(
  clients: AwsClients,
  region: string,
  resourceArn: string,
  zoneId: string,
  signal: AbortSignal,
): Promise<void> {
  let nextToken: string | undefined;
  do {
    const query = {
      resourceIdentifier: resourceArn,
      status: 'ACTIVE',
      ...(nextToken === undefined ? {} : { nextToken }),
    };
    const text = await clients.call(region, { service, method: 'GET', path: '/zonalshifts', query }, signal);
    const page = shiftsSchema.parse(JSON.parse(text));
    for (const { zonalShiftId: id, awayFrom, shiftType } of page.items) {
      if (awayFrom !== zoneId || shiftType !== 'ZONAL_SHIFT') continue;
      await clients.call(region, { service, method: 'DELETE', path: `/zonalshifts/${encodeURIComponent(id)}` }, signal);
    }
    nextToken = page.nextToken ?? undefined;
  } while (nextToken !== undefined);
}

/** `us-east-1a` is another place in each account; `use1-az4` is not. */
export async function zoneIdOf(
  clients: AwsClients,
  region: string,
  zone: string,
  signal: AbortSignal,
): Promise<string> {
  const call = queryCall('ec2', 'ec2', '2016-11-15', { Action: 'DescribeAvailabilityZones', 'ZoneName.1': zone });
  const [id] = valuesOf(await clients.call(region, call, signal), 'zoneId');
  if (id === undefined) throw new Error(`${region} has no zone ${zone}`);
  return id;
}

/** ARNs by name. */
export async function loadBalancerArns(
  clients: AwsClients,
  region: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const members = Object.fromEntries(names.map((name, index) => [`Names.member.${index + 1}`, name]));
  const fields = { Action: 'DescribeLoadBalancers', ...members };
  const call = queryCall('elasticloadbalancing', 'elasticloadbalancing', '2015-12-01', fields);
  const arns = valuesOf(await clients.call(region, call, signal), 'LoadBalancerArn');
  if (arns.length < names.length) throw new Error(`not all of ${names.join(', ')} are there in ${region}`);
  return arns;
}
