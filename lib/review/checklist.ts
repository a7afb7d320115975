/**
 * The checklist of high availability, line by line. A line is ticked by resources where templates and manifests can show
 * it, and by a dated report where they cannot; nothing else ticks it.
 */
import { runbookTitles } from '../../runbooks/catalog.ts';
import { dayOf, daysBetween, type EvidenceKind, evidenceDays, evidenceFolder, newestOf } from '../platform/evidence.ts';
import { kubernetes } from '../platform/names.ts';

import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { wrap } from './wrap.ts';

export interface ChecklistLine {
  readonly text: string;
  readonly done: boolean;
  /** What shows it, or what is missing. */
  readonly evidence: readonly string[];
}

type Finding = Pick<ChecklistLine, 'done' | 'evidence'>;

export function checklist(review: Review): ChecklistLine[] {
  const lines: readonly (readonly [string, Finding])[] = [
    ['Multi-AZ deployment verified', both(natPerZone(review), reported(review, 'zone-loss'))],
    ['Pod anti-affinity configured', inManifests(review, 'topologySpreadConstraints', 'topologySpreadConstraints')],
    ['PodDisruptionBudgets in place', inManifests(review, 'PodDisruptionBudget', 'kind: PodDisruptionBudget')],
    [
      'Health checks tuned and tested',
      both(inManifests(review, 'probes', 'startupProbe'), reported(review, 'health-checks')),
    ],
    ['Database replication verified', both(replication(review), reported(review, 'database-replication'))],
    ['Redis HA configured', cacheFailover(review)],
    ['Vault HA configured', vault(review)],
    ['Load balancer health checks', resources(review, 'AWS::ElasticLoadBalancingV2::TargetGroup', 'HealthCheckPath')],
    ['DNS failover tested', both(healthChecks(review), reported(review, 'dns-failover'))],
    ['Backup/restore tested', both(resources(review, 'AWS::Backup::RestoreTestingPlan'), reported(review, 'restore'))],
    ['Runbooks documented', { done: true, evidence: [`runbooks/: ${Object.keys(runbookTitles).join(', ')}`] }],
    ['On-call rotation established', onCall(review)],
    ['DR drill scheduled', nextDrill(review)],
  ];
  return lines.map(([text, finding]) => ({ text, ...finding }));
}

const both = (...findings: readonly Finding[]): Finding => ({
  done: findings.every(({ done }) => done),
  evidence: findings.flatMap(({ evidence }) => evidence),
});

/** Paths of all resources of a type, which every region must have. */
function resources({ platform, stacks }: Review, type: string, property?: string): Finding {
  const found = stacks.flatMap(({ name, region, template }) =>
    Object.entries(template.Resources)
      .filter(
        ([, resource]) => resource.Type === type && (property === undefined || property in (resource.Properties ?? {})),
      )
      .map(([id]) => ({ region, path: `${name}/${id}` })),
  );
  const missing = platform.regions.filter(({ region }) => !found.some((each) => each.region === region));
  return missing.length === 0
    ? { done: true, evidence: [shortened(found.map(({ path }) => path))] }
    : { done: false, evidence: [`missing in ${missing.map(({ region }) => region).join(', ')}: ${type}`] };
}

function natPerZone({ platform, stacks }: Review): Finding {
  const short = platform.regions.flatMap(({ region, availabilityZones, network }) => {
    if (network !== undefined) return [];
    const count = stacks
      .filter((stack) => stack.region === region)
      .flatMap(({ template }) => Object.values(template.Resources))
      .filter(({ Type }) => Type === 'AWS::EC2::NatGateway').length;
    return count >= availabilityZones.length
      ? []
      : [`${region} has ${count} NAT gateways for ${availabilityZones.length} zones`];
  });
  if (short.length > 0) return { done: false, evidence: short };
  return {
    done: true,
    evidence: [
      `subnets and a NAT gateway in every zone: ${platform.regions.map(({ region, availabilityZones, network }) => `${region} ${network === undefined ? availabilityZones.length : 'as its owner keeps them'}`).join(', ')}`,
    ],
  };
}

function replication({ platform, stacks }: Review): Finding {
  const replicas = stacks.flatMap(({ name, template }) =>
    Object.entries(template.Resources)
      .filter(
        ([, { Type, Properties }]) => Type === 'AWS::RDS::DBInstance' && Properties?.['SourceRegion'] !== undefined,
      )
      .map(([id]) => `${name}/${id}`),
  );
  if (platform.standbys.length === 0) {
    return { done: true, evidence: ['one region: Multi-AZ, and its log and backups copied to another region'] };
  }
  const brought = platform.standbys.flatMap(({ region, database }) =>
    database === undefined
      ? []
      : [`${database.identifier} in ${region}, brought along: no template shows what it follows`],
  );
  return replicas.length + brought.length >= platform.standbys.length
    ? { done: true, evidence: [...(replicas.length === 0 ? [] : [shortened(replicas)]), ...brought] }
    : { done: false, evidence: [`${replicas.length} replicas for ${platform.standbys.length} standbys`] };
}

function cacheFailover(review: Review): Finding {
  const groups = review.stacks.flatMap(({ name, template }) =>
    Object.entries(template.Resources)
      .filter(([, { Type }]) => Type === 'AWS::ElastiCache::ReplicationGroup')
      .map(([id, { Properties }]) => ({
        path: `${name}/${id}`,
        ok: Properties?.['AutomaticFailoverEnabled'] === true && Properties['MultiAZEnabled'] === true,
      })),
  );
  const bad = groups.filter(({ ok }) => !ok).map(({ path }) => path);
  return bad.length === 0 && groups.length > 0
    ? { done: true, evidence: [shortened(groups.map(({ path }) => path))] }
    : { done: false, evidence: bad.length === 0 ? ['no cache'] : bad };
}

function vault(review: Review): Finding {
  if (!review.platform.cluster.addons.includes('vault')) {
    return {
      done: false,
      evidence: ['no Vault: add it to cluster.addons, or keep secrets in Secrets Manager and strike this line'],
    };
  }
  return inManifests(review, 'Vault with Raft', 'storage "raft"');
}

function healthChecks({ platform, stacks }: Review): Finding {
  if (platform.regions.length === 1) return { done: true, evidence: ['one region: nothing to fail over to'] };
  const checks = stacks.flatMap(({ name, template }) =>
    Object.entries(template.Resources)
      .filter(([, { Type }]) => Type === 'AWS::Route53::HealthCheck')
      .map(([id]) => `${name}/${id}`),
  );
  return checks.length > platform.regions.length
    ? { done: true, evidence: [shortened(checks)] }
    : { done: false, evidence: ['the hosted zone is not routed yet'] };
}

/** Files of every region whose text shows it. */
function inManifests({ manifests, platform }: Review, what: string, marker: string): Finding {
  const found = manifests.filter(({ text }) => text?.includes(marker) === true);
  const missing = platform.regions.filter(({ region }) => !found.some((each) => each.region === region));
  return missing.length === 0
    ? { done: true, evidence: [`${what}: ${shortened(found.map(({ file }) => file))}`] }
    : { done: false, evidence: [`no ${what} in the manifests of ${missing.map(({ region }) => region).join(', ')}`] };
}

function reported({ evidence, today }: Review, kind: EvidenceKind): Finding {
  const newest = newestOf(evidence, kind);
  if (newest === undefined) return { done: false, evidence: [`open: no report of ${kind}`] };
  const days = daysBetween(dayOf(newest), today);
  const said = `${kind} on ${dayOf(newest)}: ${newest.passed ? 'passed' : 'FAILED'} (${newest.source})`;
  if (days > evidenceDays)
    return { done: false, evidence: [`open: ${said} is ${days} days old, ${evidenceDays} are allowed`] };
  return { done: newest.passed && days >= 0, evidence: [newest.passed && days >= 0 ? said : `open: ${said}`] };
}

function onCall({ platform, today }: Review): Finding {
  const { onCall: rotation } = platform.operations;
  if (rotation === undefined)
    return { done: false, evidence: ['open: name the rotation in holdfast.config.ts (operations.onCall)'] };
  const begun = daysBetween(rotation.since, today) >= 0;
  return { done: begun, evidence: [`${rotation.rotation}, ${begun ? 'since' : 'open: begins on'} ${rotation.since}`] };
}

function nextDrill({ platform, today, evidence }: Review): Finding {
  const { nextDrill: date } = platform.operations;
  const last = newestOf(evidence, 'region-drill');
  const before =
    last === undefined
      ? 'no drill is reported yet'
      : `the last one, on ${dayOf(last)}, ${last.passed ? 'passed' : 'FAILED'} (${last.source})`;
  if (date === undefined)
    return {
      done: false,
      evidence: [`open: set the next date in holdfast.config.ts (operations.nextDrill); ${before}`],
    };
  const days = daysBetween(today, date);
  if (days < 0) return { done: false, evidence: [`open: ${date} has passed; ${before}`] };
  return {
    done: days <= evidenceDays,
    evidence: [`${days <= evidenceDays ? `on ${date}` : `open: ${date} is more than a quarter away`}; ${before}`],
  };
}

/** The first of several paths, and how many there are. */
const shortened = (paths: readonly string[]): string =>
  paths.length > 1 ? `${paths[0]} and ${paths.length - 1} more` : (paths[0] ?? kubernetes.namespace);

export function checklistSection(review: Review): Section {
  const lines = checklist(review);
  const done = lines.filter((line) => line.done).length;
  return {
    title: `High availability checklist: ${done} of ${lines.length}`,
    lines: [
      ...lines.flatMap((line) => [
        `[${line.done ? 'x' : ' '}] ${line.text}`,
        ...line.evidence.flatMap((each) => wrap(each, '      ')),
      ]),
      '',
      ...wrap(
        `Lines that only a test can show take a report of at most ${evidenceDays} days: ${evidenceFolder}/*.json with {"kind", "on", "passed", "source"}.`,
      ),
    ],
  };
}
