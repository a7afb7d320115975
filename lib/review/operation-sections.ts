/** The parts of the review that tell what to do: apply, promote, mend, deploy. */
import { exportsMetrics } from '../alerts/exported-metrics.ts';
import { hasNamesElsewhere } from '../platform/accounts.ts';
import {
  type BucketPlace,
  bucketName,
  cacheName,
  canarySecretName,
  databaseArn,
  deliveryStackName,
  dnsStackName,
  loadBalancerParameter,
  objectKeys,
  outputs,
  parameters,
  prefix,
  type RegionalStackKind,
  regionSwitchStackName,
  satelliteStackName,
  stackName,
  vaultKeyAlias,
} from '../platform/names.ts';
import { gatewayNode, nodesFor } from '../platform/nodes.ts';
import type { Platform } from '../platform/platform.ts';
import { failbackPercents, takeoverCheck } from '../platform/traffic.ts';
import type { ManifestFile, Review } from './review.ts';
import type { Section } from './section.ts';
import { table } from './table.ts';
import { wrap } from './wrap.ts';

/** Kubernetes manifests. */
export function manifestsSection({ platform, manifests }: Review): Section {
  return {
    title: 'Kubernetes manifests',
    lines: [
      ...manifestTable(platform, manifests),
      '',
      ...wrap(kindsOf(manifests), 'In all: '),
      ...(platform.cluster.applyByStack === undefined
        ? []
        : wrap(
            `The stacks ${prefix(platform)}-REGION-manifests apply them all but drills/; the Secrets that they name must stand before.`,
          )),
      ...(exportsMetrics(platform)
        ? []
        : wrap(
            'CloudWatch has no alarm on the spend outbox: gateways’ own numbers reach it by the addon telemetry on EKS alone. The same alerts are in the addon monitoring, for Prometheus.',
          )),
    ],
  };
}

/** Objects by file and region; what a region lacks is empty. */
function manifestTable({ regions }: Platform, manifests: readonly ManifestFile[]): string[] {
  const names = regions.map(({ region }) => region);
  const inFolder = ({ region, file }: ManifestFile): string =>
    file.slice(file.indexOf(`${region}/`) + region.length + 1);
  const files = [...new Set(manifests.map(inFolder))];
  return table(
    ['dist/k8s/REGION/', ...names],
    files.map((file) => [
      file,
      ...names.map(
        (name) => manifests.find((each) => each.region === name && inFolder(each) === file)?.resources ?? '-',
      ),
    ]),
  );
}

function kindsOf(manifests: readonly ManifestFile[]): string {
  const total = new Map<string, number>();
  for (const { kinds } of manifests) {
    for (const [kind, count] of Object.entries(kinds)) total.set(kind, (total.get(kind) ?? 0) + count);
  }
  return [...total]
    .sort(([left], [right]) => left.localeCompare(right))
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
}

/** The parameters of the stacks, and how a replica is promoted with them. */
export function promotionSection({ platform, stacks, promotions }: Review): Section {
  const rows = stacks.flatMap(({ name, template }) =>
    Object.entries(template.Parameters ?? {}).map(([parameter, { Default, AllowedValues }]) => [
      name,
      parameter,
      Default ?? '(must be given)',
      AllowedValues?.join(' | ') ?? '',
    ]),
  );
  const howTo = promotions.flatMap((promotion) => [
    '',
    `Promote ${promotion.region}${promotion.by === 'rds' ? ', whose database no stack holds' : ''}`,
    ...wrap(
      `npx holdfast runbook run region-failover target=${promotion.region} former=${platform.primary.region}`,
      '  ',
    ),
    '  does all of it: the claim first, then the promotion, then the traffic. By hand, the promotion alone:',
    ...(promotion.by === 'rds'
      ? continued(promotion.rds)
      : [
          ...continued(promotion.cloudFormation),
          '  or, from this repository at the commit that is deployed:',
          ...continued(promotion.cdk),
        ]),
  ]);
  const facts = !promotions.some(({ by }) => by === 'stack')
    ? []
    : [
        '',
        ...wrap(
          `A promotion changes ${parameters.regionRole} of one data stack, and by it one property of one database (SourceDBInstanceIdentifier): no IAM, no record, nothing in another region. It cannot be undone: the old primary comes back as a new replica. If the RDS API has promoted already, set ${parameters.dbPromotion}=external in the same update.`,
        ),
      ];
  return {
    title: 'Parameters and promotion',
    lines: [...table(['stack', 'parameter', 'default', 'allowed'], rows), ...facts, ...howTo],
  };
}

const continued = (parts: readonly string[]): string[] =>
  parts.map((part, index) => `${index === 0 ? '  ' : '    '}${part}${index === parts.length - 1 ? '' : ' \\'}`);

/** Regions whose names are in another account. */
const foreignRegions = (platform: Platform): string[] =>
  platform.regions.filter((region) => hasNamesElsewhere(platform, region)).map(({ region }) => region);

/** What stands in a standby, what all of the load needs there, and how AWS is made to keep the difference. */
export function capacitySection({ platform }: Review): Section | undefined {
  const regions = platform.standbys.filter(({ cluster }) => cluster === undefined);
  if (platform.cluster.kind !== 'eks' || regions.length === 0) return undefined;
  const { gatewayReplicas } = platform.primary;
  return {
    title: 'Room for a failover',
    lines: [
      ...table(
        ['region', 'gateways', 'for all clients', 'nodes', 'for all clients', 'kept in each zone'],
        regions.map((region) => [
          region.region,
          region.gatewayReplicas,
          Math.max(gatewayReplicas, region.gatewayReplicas),
          nodesFor(region.gatewayReplicas, region.availabilityZones.length),
          nodesFor(Math.max(gatewayReplicas, region.gatewayReplicas), region.availabilityZones.length),
          region.reservedNodesPerZone,
        ]),
      ),
      '',
      ...wrap(
        `A failover raises the number of pods (kubectl), and Auto Mode looks for nodes. AWS keeps nodes (${gatewayNode.instanceType}) of a region for it once ${parameters.desiredCapacity} says so; ask in peace, since AWS refuses what it does not have, and each is paid for, used or not:`,
      ),
      ...regions
        .slice(0, 1)
        .flatMap(({ region }) => [
          `  aws cloudformation update-stack --region ${region} --stack-name ${stackName(platform, region, 'cluster')} \\`,
          `    --use-previous-template --capabilities CAPABILITY_IAM \\`,
          `    --parameters ParameterKey=${parameters.desiredCapacity},ParameterValue=1`,
        ]),
    ],
  };
}

/** How traffic is moved by hand, and given back: no record is edited. */
export function trafficSection({ platform }: Review): Section {
  if (platform.standbys.length === 0) {
    return { title: 'Moving traffic', lines: ['One region: there is nowhere to move it to.'] };
  }
  const [, first] = failbackPercents;
  return {
    title: 'Moving traffic, whatever the health checks say',
    lines: [
      'Away from the primary: an object in the region that takes over, whatever is in it (region-failover writes it)',
      ...platform.standbys.flatMap((standby) => [
        `  aws s3api put-object --region ${standby.region} --bucket ${bucketName(platform, standby, 'takeover')} \\`,
        `    --key ${objectKeys.takeover} --body ${objectKeys.takeover}`,
      ]),
      `Back, step by step (${failbackPercents.join(', ')} %), and at the end the object is deleted and the percent is 0 again`,
      `  aws cloudformation update-stack --region ${platform.dnsRegion} --stack-name ${dnsStackName(platform)} \\`,
      ...continued([
        `    --use-previous-template --parameters ParameterKey=${parameters.failbackPercent},ParameterValue=${first}`,
        ...foreignRegions(platform).map(
          (region) => `  ParameterKey=${loadBalancerParameter(region)},UsePreviousValue=true`,
        ),
      ]).map((line) => line.slice(2)),
      ...wrap(
        `Route 53 sees the object within ${takeoverCheck.intervalSeconds * takeoverCheck.failureThreshold} s. Where the account blocks public access to all of S3, health checks cannot see it: except this one bucket.`,
      ),
      ...(platform.globalCache ? cacheLines(platform) : []),
    ],
  };
}

/** The cache over all regions takes writes in one; gateways elsewhere count for themselves. */
const cacheLines = (platform: Platform): string[] => [
  `The cache follows when it is told to (ID: output ${outputs.globalCacheId} of the primary's cache stack)`,
  ...platform.standbys.flatMap(({ region }) => [
    `  aws elasticache failover-global-replication-group --region ${region} --global-replication-group-id ID \\`,
    `    --primary-region ${region} --primary-replication-group-id ${cacheName(platform)}`,
  ]),
];

/** What the rules object to. */
export function findingsSection({ findings, exceptions }: Review): Section {
  const errors = findings.filter((finding) => finding.severity === 'error').length;
  const counts = [
    plural(errors, 'error'),
    plural(findings.length - errors, 'warning'),
    plural(exceptions.length, 'exception'),
  ];
  return {
    title: `Rules: ${counts.join(', ')}`,
    lines: [
      'Checked: CloudFormation’s own validation, our Guard rules, and AWS Solutions by cdk-nag.',
      ...(exceptions.length > 0
        ? ['Each exception with its reason: cdk.out/review.md, and review.html with a picture.']
        : []),
      ...findings.flatMap(({ severity, checker, rule, description, where }) => [
        ...wrap(`${severity.toUpperCase()} ${rule}: ${description} (${checker})`),
        ...where.map((path) => `  at ${path}`),
      ]),
    ],
  };
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

/** In which order to deploy. */
export function deploymentSection({ platform, deployable }: Review): Section {
  if (!deployable) {
    return {
      title: 'Not deployable',
      lines: ['Mend the errors above, or acknowledge them in the code with a reason.'],
    };
  }
  const sources = new Set(
    platform.regions.map((region) => region.databaseSource && databaseArn(platform, region.databaseSource)),
  );
  const order = [...platform.regions].sort(
    (left, right) =>
      Number(sources.has(databaseArn(platform, right))) - Number(sources.has(databaseArn(platform, left))),
  );
  const places = [...order, ...platform.satellites];
  const storage = `${prefix(platform)}-*-${'storage' satisfies RegionalStackKind}`;
  const dns = { region: platform.dnsRegion, account: platform.account };
  const bootstrapped = places.some(({ account, region }) => region === dns.region && account === dns.account)
    ? places
    : [...places, dns];
  const qualifier = platform.bootstrapQualifier === undefined ? '' : ` --qualifier ${platform.bootstrapQualifier}`;
  const bootstrap = ({ account, region }: BucketPlace): string => {
    // CI's role is beside the names, and so is whoever deploys by hand.
    const trusted = [...platform.deployedFrom, ...(account === dns.account ? [] : [dns.account])];
    const trust = trusted.map((each) => ` --trust ${each}`).join('');
    const policy = trust === '' ? '' : ' --cloudformation-execution-policies POLICY_ARN';
    return `  npx cdk bootstrap aws://${account}/${region}${qualifier}${trust}${policy}   # once`;
  };
  const named = foreignRegions(platform).map((region) => ` --parameters ${loadBalancerParameter(region)}=ZONE,NAME`);
  return {
    title: 'Deploy, in this order',
    lines: [
      ...bootstrapped.map(bootstrap),
      ...(platform.delivery === undefined
        ? []
        : [`  npx cdk deploy ${deliveryStackName(platform)}   # by hand, once: CI deploys the rest with its role`]),
      ...platform.satellites.map(({ region }) => `  npx cdk deploy ${satelliteStackName(platform, region)}`),
      ...(platform.regionSwitchPlan
        ? [`  npx cdk deploy ${regionSwitchStackName(platform)}   # before the clusters, which let its role in`]
        : []),
      `  npx cdk deploy '${storage}'   # buckets and keys first: copies of the others arrive here`,
      ...order.map(({ region }, index) => {
        const cacheId = platform.globalCache && index > 0 ? ` --parameters ${parameters.globalCacheId}=ID` : '';
        return `  npx cdk deploy '${prefix(platform)}-${region}-*'${cacheId}`;
      }),
      `  npx cdk deploy '${storage}' --parameters ${parameters.crossRegionCopies}=on   # once all stand`,
      `  npx cdk deploy ${dnsStackName(platform)}${named.join('')}`,
      ...(named.length === 0
        ? []
        : wrap(
            `ZONE,NAME is the output ${outputs.loadBalancerAlias} of each region's ingress stack: the names are in ${dns.account}, where no stack of the regions can write.`,
          )),
      ...(platform.standbys.length === 0
        ? []
        : wrap(
            `Then give each ingress stack the others' output ${outputs.endpointServiceName} (--parameters EndpointServiceREGION=...): the private way between regions stands from then on.`,
          )),
      ...(platform.cluster.addons.includes('vault') && platform.standbys.length > 0
        ? wrap(
            `Vault in a standby unseals with a copy of the primary's key (alias ${vaultKeyAlias(platform)}): give its ARN to each standby's storage stack (--parameters ${parameters.vaultKeyArn}=...) before Vault starts there.`,
          )
        : []),
      ...wrap(
        `Once gateways answer, put a key of theirs with a small budget into the secret ${canarySecretName(platform)} of each region: until then the canary fails, and CanaryFailing rings.`,
      ),
      ...wrap(
        `Every ${platform.tier.credentialRotationDays} days, and once at the beginning, each region's topic of warnings calls for a successor of its credentials (runbook credential-rotation): until the first one all regions have the administrator's login.`,
      ),
      ...wrap(
        `While another region is lost, a new stack here takes --parameters ${parameters.crossRegionCopies}=off; standing ones need nothing.`,
      ),
      ...(platform.cluster.adminRoleArns.length === 0
        ? wrap('Nobody may administer Kubernetes yet: name a role in holdfast.config.ts (cluster.adminRoleArns).')
        : []),
    ],
  };
}
