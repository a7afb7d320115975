/**
 * What AWS lets an account have in a region, against what the platform would need there alone: a quota that is too small is
 * found out in peace. Service Quotas has no client package here: signed calls (botocore, service-quotas/2019-06-24).
 */
import { z } from 'zod';
import type { Platform, Region } from '../../lib/platform/platform.ts';
import type { ReadyCheck } from '../region/ready.ts';
import { type AwsClients, isNamed } from './clients.ts';
import { jsonCall } from './signed-call.ts';

export interface QuotaNeed {
  readonly service: string;
  /** AWS's own, the same in all regions. */
  readonly code: string;
  readonly what: string;
  /** Least that will do, what others of the account use not counted. */
  readonly needed: number;
}

/** Pods beside the gateways: stores of state, collectors, agents. */
const coresBeside = 8;

/**
 * Pure. The codes, by the names that Service Quotas has for them: "Running On-Demand Standard instances", "EC2-VPC Elastic
 * IPs", "VPCs per Region", "DB instances", "Clusters"; compared with AWS's own guides and with public tools that ask for them
 * (Red Hat's installers of OpenShift, quota exporters, tables of emulators), which agree.
 */
export function quotaNeeds({ tier, primary }: Platform, { availabilityZones }: Region): readonly QuotaNeed[] {
  const zones = availabilityZones.length;
  const gateways = Math.max(tier.gateway.maxReplicas, primary.gatewayReplicas);
  return [
    { service: 'ec2', code: 'L-1216C47A', what: 'vCPUs on demand', needed: gateways + coresBeside },
    // One for the way out of each zone, one for the fixed entrance.
    { service: 'ec2', code: 'L-0263D0A3', what: 'Elastic IPs', needed: 2 * zones },
    { service: 'vpc', code: 'L-F678F1CE', what: 'VPCs', needed: 1 },
    // A failback and a restore make one beside what is there.
    { service: 'rds', code: 'L-7B6409FD', what: 'databases', needed: 3 },
    { service: 'eks', code: 'L-1194D53C', what: 'clusters', needed: 1 },
  ];
}

export async function quotasCheck(
  clients: AwsClients,
  region: string,
  needs: readonly QuotaNeed[],
  signal: AbortSignal,
): Promise<ReadyCheck> {
  const found = await Promise.all(
    needs.map(async (need) => ({ ...need, value: await quotaOf(clients, region, need, signal) })),
  );
  const short = found.filter(({ needed, value }) => value < needed);
  const list = short.map(({ what, needed, value }) => `${value} ${what}, ${needed} are needed`);
  return short.length > 0
    ? { check: 'quotas', is: 'failed', note: `${list.join('; ')}: ask for more (Service Quotas), it takes days` }
    : { check: 'quotas', is: 'ok', note: `${found.length} are large enough for this platform alone` };
}

const answerSchema = z.object({ Quota: z.object({ Value: z.number() }) });

/** The account's own; AWS's default where nobody has asked for another. */
async function quotaOf(
  clients: AwsClients,
  region: string,
  { service: ServiceCode, code: QuotaCode }: QuotaNeed,
  signal: AbortSignal,
): Promise<number> {
  const ask = async (action: string): Promise<number> => {
    const call = jsonCall('servicequotas', 'servicequotas', `ServiceQuotasV20190624.${action}`, {
      ServiceCode,
      QuotaCode,
    });
    return answerSchema.parse(JSON.parse(await clients.call(region, call, signal))).Quota.Value;
  };
  try {
    return await ask('GetServiceQuota');
  } catch (error) {
    if (!isNamed(error, 'NoSuchResourceException')) throw error;
    return ask('GetAWSDefaultServiceQuota');
  }
}
