/** A platform as the manifests hand it to a pod: `definePlatform`'s answer as JSON, since an image has no `holdfast.config.ts`. */
import { z } from 'zod';
import { weekDays } from '../../lib/platform/drill-hours.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { addonNames } from '../../lib/platform/spec.ts';

const texts = z.record(z.string(), z.string());
const list = z.array(z.string());
const brought = z.object({ identifier: z.string(), databaseGeneration: z.number() });
const databaseRef = z.object({
  region: z.string(),
  account: z.string(),
  databaseGeneration: z.number(),
  brought: brought.optional(),
});

const region = databaseRef.extend({
  role: z.enum(['primary', 'standby']),
  availabilityZones: list,
  cidr: z.string(),
  gatewayReplicas: z.number(),
  reservedNodesPerZone: z.number(),
  databaseInstanceClass: z.string(),
  cacheNodeType: z.string(),
  network: z
    .object({ vpcId: z.string(), publicSubnetIds: list, privateSubnetIds: list, isolatedSubnetIds: list })
    .optional(),
  cluster: z.object({ name: z.string(), securityGroupId: z.string() }).optional(),
  database: z
    .object({
      identifier: z.string(),
      securityGroupId: z.string(),
      subnetGroupName: z.string(),
      secretArn: z.string(),
      secretKeyArn: z.string().optional(),
    })
    .optional(),
  certificateArn: z.string().optional(),
  databaseSource: databaseRef.optional(),
});

const tier = z.object({
  name: z.enum(['standard', 'high', 'critical']),
  availabilityPercent: z.number(),
  rpoSeconds: z.number(),
  rtoSeconds: z.number(),
  zones: z.number(),
  regionsAtLeast: z.number(),
  gateway: z.object({
    replicas: z.number(),
    standbyReplicas: z.number(),
    maxReplicas: z.number(),
    minAvailable: z.number(),
    persistentOutbox: z.boolean(),
  }),
  database: z.object({
    instanceClass: z.string(),
    allocatedStorageGiB: z.number(),
    maxAllocatedStorageGiB: z.number(),
    backupRetentionDays: z.number(),
    replicaMultiAz: z.boolean(),
    inRegionReadReplicas: z.number(),
  }),
  cache: z.object({ nodeType: z.string(), replicas: z.number() }),
  loadBalancer: z.object({
    healthCheckIntervalSeconds: z.number(),
    healthCheckTimeoutSeconds: z.number(),
    healthyThreshold: z.number(),
    unhealthyThreshold: z.number(),
  }),
  credentialRotationDays: z.number(),
  zonalAutoshift: z.boolean(),
  strategy: z.enum(['backup-and-restore', 'warm standby', 'multi-site active-active']),
});

const cluster = z.object({
  adminRoleArns: list,
  publicApiCidrs: list,
  kind: z.enum(['eks', 'gke', 'generic']),
  ingress: z.enum(['gateway-api', 'ingress-nginx']),
  ingressClass: z.string(),
  loadBalancerController: z.enum(['auto-mode', 'self-managed']),
  leaderLease: z.enum(['postgres', 'kubernetes']),
  autoscaler: z.enum(['hpa', 'keda']),
  prometheusUrl: z.string(),
  secretStore: z.string().optional(),
  otlpEndpoint: z.string(),
  vllmModel: z.string(),
  mcpServers: texts,
  outbound: list,
  images: texts,
  objectStoreUrl: z.string().optional(),
  applyByStack: z.object({ kubectlLayerArns: texts }).optional(),
  regionWatch: z.boolean(),
  addons: z.array(z.enum(addonNames)),
});

const platformSchema = z.object({
  name: z.string(),
  environment: z.enum(['dev', 'staging', 'production']),
  account: z.string(),
  deployedFrom: list,
  domain: z.string(),
  hostedZone: z.object({ name: z.string(), id: z.string().optional() }),
  tier,
  topology: z.enum(['single-region', 'active-passive', 'active-active']),
  regions: z
    .array(region)
    .refine((regions) => regions.filter(({ role }) => role === 'primary').length === 1, 'one of them is the primary'),
  dnsRegion: z.string(),
  cluster,
  claimRegions: list,
  satellites: z.array(z.object({ region: z.string(), account: z.string(), witness: z.boolean(), copies: z.boolean() })),
  isolatedVaultArns: texts,
  regionLoss: z.object({ optOutReason: z.string() }).optional(),
  bootstrapQualifier: z.string().optional(),
  regionSwitchPlan: z.boolean(),
  refuseBeyondRpo: z.boolean(),
  globalCache: z.boolean(),
  delivery: z.object({ subjects: list, issuer: z.string().optional(), providerArn: z.string().optional() }).optional(),
  operations: z.object({
    alertEmails: list,
    runbookUrl: z.string().optional(),
    canaryModel: z.string(),
    onCall: z.object({ rotation: z.string(), since: z.string() }).optional(),
    nextDrill: z.string().optional(),
    drillHours: z
      .object({ days: z.array(z.enum(weekDays)), from: z.string(), to: z.string(), timeZone: z.string() })
      .optional(),
  }),
  image: z.string(),
  imageDigest: z.string().optional(),
  tags: texts,
});

/** @throws Error with every fault, each by its field. */
export function platformFrom(text: string): Platform {
  const parsed = platformSchema.safeParse(jsonOf(text));
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `  - ${path.join('.') || 'all of it'}: ${message}`);
    throw new Error(`it is no description of this version:\n${faults.join('\n')}`);
  }
  const regions = parsed.data.regions.map((one) => ({ ...one, databaseSource: one.databaseSource }));
  const [primary] = regions.filter(({ role }) => role === 'primary');
  if (primary === undefined) throw new Error('regions: one of them is the primary');
  return { ...parsed.data, regions, primary, standbys: regions.filter((one) => one !== primary) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`it is no JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
