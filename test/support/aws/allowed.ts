/** What IAM would say: the calls that a book made, against the policy that is printed for it. */
import type { Policy } from '../../../runbooks/aws/policy.ts';
import type { Statement } from '../../../runbooks/aws/rights.ts';
import type { WireCall } from './wire.ts';

/** Signatures and rights go by different names. */
const rightsOf: Readonly<Record<string, string>> = { monitoring: 'cloudwatch' };

/** Of the service authorization reference: these know no resources. */
const withoutResources = new Set(['ec2', 'elasticloadbalancing', 'servicequotas', 'monitoring']);

/** Calls that the policy does not let through, with the resource that it lacks. */
export function refusedCalls(policy: Policy | undefined, calls: readonly WireCall[], account: string): string[] {
  const statements = policy?.Statement ?? [];
  const refused = calls.flatMap((call) => {
    const right = `${rightsOf[call.service] ?? call.service}:${call.action}`;
    return resourcesOf(call, account)
      .filter((resource) => !statements.some((statement) => allows(statement, right, resource)))
      .map((resource) => `${right} on ${resource}`);
  });
  return [...new Set(refused)];
}

/** Rights that the policy gives and no call needed. Rights of other services in the caller's name (KMS, IAM) are in none. */
export function unusedRights(policy: Policy | undefined, calls: readonly WireCall[]): string[] {
  const used = new Set(calls.map(({ service, action }) => `${rightsOf[service] ?? service}:${action}`));
  const given = (policy?.Statement ?? []).flatMap(({ Action }) => Action);
  return [...new Set(given)].filter((right) => !used.has(right) && !/^(kms|iam):/.test(right));
}

const allows = ({ Action, Resource }: Statement, right: string, resource: string): boolean =>
  Action.includes(right) && Resource.some((pattern) => isLike(pattern, resource));

function isLike(pattern: string, resource: string): boolean {
  const escaped = pattern.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(resource);
}

function resourcesOf(call: WireCall, account: string): string[] {
  const { service, region, fields, path, query, body, action } = call;
  if (withoutResources.has(service)) return ['*'];
  const arn = (rest: string): string => `arn:aws:${service}:${region}:${account}:${rest}`;
  switch (service) {
    case 's3':
      return [`arn:aws:s3:::${decodeURIComponent(path.slice(1)).replace(/\/$/, '')}`];
    case 'rds': {
      if (action === 'DescribeDBSnapshots' && !fields.has('DBSnapshotIdentifier')) return [arn('snapshot:*')];
      if (action === 'DescribeDBInstanceAutomatedBackups') return [arn('auto-backup:*')];
      const of = (field: string, kind: string): string[] => {
        const name = fields.get(field);
        return name === null ? [] : [name.startsWith('arn:') ? name : arn(`${kind}:${name}`)];
      };
      return [
        ...of('DBInstanceIdentifier', 'db'),
        ...of('NewDBInstanceIdentifier', 'db'),
        ...of('SourceDBInstanceIdentifier', 'db'),
        ...of('TargetDBInstanceIdentifier', 'db'),
        ...of('DBSnapshotIdentifier', 'snapshot'),
      ];
    }
    case 'cloudformation':
      return [arn(`stack/${fields.get('StackName') ?? ''}/0f0f`)];
    case 'elasticache':
      return fields.has('GlobalReplicationGroupId')
        ? [`arn:aws:elasticache::${account}:globalreplicationgroup:${fields.get('GlobalReplicationGroupId')}`]
        : [arn(`replicationgroup:${fields.get('ReplicationGroupId') ?? ''}`)];
    case 'eks':
      return [arn(`cluster/${path.split('/')[2] ?? ''}`)];
    case 'ecr':
      return [arn(`repository/${textIn(body, 'repositoryName')}`)];
    case 'secretsmanager':
      return [arn(`secret:${textIn(body, 'SecretId')}-AbCdEf`)];
    case 'arc-zonal-shift':
      if (action === 'ListZonalShifts') return ['*'];
      if (action === 'GetManagedResource') return [decodeURIComponent(path.split('/')[2] ?? '')];
      // A shift goes by an id of its own; IAM looks at what it shifts, which the tests know by the list before it.
      return action === 'CancelZonalShift'
        ? []
        : [textIn(body, 'resourceIdentifier') || (query.get('resourceIdentifier') ?? '')];
    case 'fis':
      if (action.startsWith('List')) return ['*'];
      return action === 'StopExperiment'
        ? [arn(`experiment/${path.split('/')[2] ?? ''}`)]
        : [arn(`experiment-template/${textIn(body, 'experimentTemplateId')}`), arn('experiment/EXP')];
    default:
      return [`${service} is not known here`];
  }
}

const textIn = (body: string, name: string): string => new RegExp(`"${name}"\\s*:\\s*"([^"]*)"`).exec(body)?.[1] ?? '';
