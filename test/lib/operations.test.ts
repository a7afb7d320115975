/** What watches, keeps and tries the platform: alarms, backups, drills. */
import { Script } from 'node:vm';
import { describe, expect, test } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { alerts } from '../../lib/alerts/alerts.ts';
import { awsAlarms } from '../../lib/alerts/aws-alarms.ts';
import { exportedMetrics } from '../../lib/alerts/exported-metrics.ts';
import { alarmName, backupVaultArn, databaseIdentifier, dnsStackName, stackName } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { runbookTitles } from '../../runbooks/catalog.ts';
import { specOf } from './specs.ts';
import { type Resource, resourcesOf, stackNamed, synthesize } from './synthesize.ts';

const { stacks } = synthesize(shipped);
const standby = shipped.standbys[0] ?? shipped.primary;
const inStack = (
  kind: 'monitoring' | 'backup' | 'resilience' | 'data' | 'cluster',
  type: string,
  region = standby.region,
): Resource[] => resourcesOf([stackNamed(stacks, stackName(shipped, region, kind))], type);
const deployed = { loadBalancer: 'app/x/1', targetGroup: 'targetgroup/x/1', certificateArn: 'arn' };

describe('rotation of credentials', () => {
  test('is called for in each region as often as the tier asks, by a role that may tell this topic and nothing else', () => {
    for (const { region } of shipped.regions) {
      const [schedule, ...others] = inStack('monitoring', 'AWS::Scheduler::Schedule', region);
      expect(others).toEqual([]);
      expect(schedule?.Properties).toMatchObject({
        ScheduleExpression: `rate(${shipped.tier.credentialRotationDays} days)`,
        Target: { Arn: { Ref: expect.stringMatching(/^warning/) }, Input: expect.stringContaining(region) },
      });
    }
    const [policy] = inStack('monitoring', 'AWS::IAM::Policy').filter(({ Properties }) =>
      String(Properties['PolicyName']).startsWith('Rotation'),
    );
    const { Statement } = Object(policy?.Properties['PolicyDocument']);
    expect(Statement).toMatchObject([
      { Action: 'sns:Publish', Resource: { Ref: expect.stringMatching(/^warning/) } },
      {
        Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
        Resource: { 'Fn::GetAtt': [expect.stringMatching(/^Key/), 'Arn'] },
      },
    ]);
  });

  test('names the book only where it can run: where something carries secrets into the cluster', () => {
    const of = (secretStore?: string) => {
      const platform = definePlatform({
        ...specOf('critical', 'single-region'),
        regionLoss: { optOutReason: 'A trial.' },
        ...(secretStore && { cluster: { secretStore } }),
      });
      const monitoring = stackNamed(synthesize(platform).stacks, stackName(platform, 'us-east-1', 'monitoring'));
      const [schedule] = resourcesOf([monitoring], 'AWS::Scheduler::Schedule');
      return JSON.stringify(schedule?.Properties);
    };
    expect(of('aws')).toContain('runbook run credential-rotation region=us-east-1 credential=database');
    expect(of('aws')).toContain('rate(30 days)');
    expect(of()).toContain('by hand');
  });
});

describe('every alarm of a region', () => {
  const alarms = inStack('monitoring', 'AWS::CloudWatch::Alarm');
  const defined = awsAlarms(shipped, standby, deployed);

  test('has a stable name, a severity, a first response and a page to read on', () => {
    expect(alarms.map(({ Properties }) => Properties['AlarmName'])).toEqual(
      expect.arrayContaining(defined.map(({ name }) => alarmName(shipped, standby.region, name))),
    );
    for (const { Properties } of alarms) {
      const description = String(Properties['AlarmDescription']);
      expect(description).toMatch(/^\[(critical|warning)\] .+\. .+ Runbook: (runbooks\/[\w-]+\.md|first-response#\w+)/);
      // CloudWatch cuts nothing: it refuses what is longer.
      expect(description.length).toBeLessThanOrEqual(1024);
    }
  });

  test('tells the topic of its severity when it rings and when it is over', () => {
    for (const { Properties } of alarms) {
      const severity = /^\[(\w+)\]/.exec(String(Properties['AlarmDescription']))?.[1] ?? '';
      expect(JSON.stringify(Properties['AlarmActions'])).toContain(`"${severity}`);
      expect(Properties['OKActions']).toEqual(Properties['AlarmActions']);
    }
  });

  test('names only runbooks that exist, and shares its name with the alert on the same thing', () => {
    for (const { runbook } of defined) if (runbook !== undefined) expect(Object.keys(runbookTitles)).toContain(runbook);
    const shared = [
      'GatewayAbsent',
      'InsufficientReplicas',
      'HighErrorRate',
      'DatabaseReplicationLag',
      'OutboxNotShipping',
    ];
    for (const name of shared) {
      const alert = alerts.find((each) => each.name === name);
      const alarm = defined.find((each) => each.name === name);
      expect({ name, severity: alarm?.severity }).toEqual({ name, severity: alert?.severity });
    }
  });

  test('watches replication against the tier’s RPO, the spend outbox, and copies of objects', () => {
    const names = defined.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'ReplicationLagBeyondRpo',
        'OutboxUnderPressure',
        'ObjectReplicationLate-us-east-1',
        'BackupFailed',
      ]),
    );
    expect(defined.find(({ name }) => name === 'ReplicationLagBeyondRpo')?.above).toBe(shipped.tier.rpoSeconds);
    expect(awsAlarms(shipped, shipped.primary, deployed).map(({ name }) => name)).not.toContain(
      'ReplicationLagBeyondRpo',
    );
  });

  test('watches the gateways’ own numbers only where a collector sends exactly these, and may', () => {
    const own = defined.filter(({ metrics }) => metrics.some(({ namespace }) => namespace === 'Holdfast'));
    expect(own.map(({ name }) => name).toSorted()).toEqual([
      'OutboxNotArchived',
      'OutboxNotShipping',
      'OutboxUnderPressure',
    ]);
    expect(own.flatMap(({ metrics }) => metrics.map(({ name }) => name)).toSorted()).toEqual(
      exportedMetrics.toSorted(),
    );
    for (const cluster of [{}, { kind: 'generic', addons: ['telemetry'] }] as const) {
      const platform = definePlatform({ ...specOf('high', 'active-passive', 2), cluster });
      const names = awsAlarms(platform, platform.primary, deployed).map(({ name }) => name);
      expect(names.filter((name) => name.startsWith('Outbox'))).toEqual([]);
    }
    const [group] = inStack('cluster', 'AWS::Logs::LogGroup').filter(({ Properties }) =>
      String(Properties['LogGroupName']).endsWith('/metrics'),
    );
    const rights = JSON.stringify(inStack('cluster', 'AWS::IAM::Policy'));
    expect(rights).toContain(`log-group:${String(group?.Properties['LogGroupName'])}:*`);
    expect(rights).not.toContain('logs:CreateLogGroup');
  });

  test('has a graph on the dashboard', () => {
    const [dashboard] = inStack('monitoring', 'AWS::CloudWatch::Dashboard');
    const body = JSON.stringify(dashboard?.Properties['DashboardBody']);
    for (const { name } of defined) expect(body).toContain(`title\\":\\"${name}\\"`);
  });
});

test('a canary asks each region for a real completion every minute, with a key that is in no template', () => {
  const [canary] = inStack('monitoring', 'AWS::Synthetics::Canary');
  expect(canary?.Properties).toMatchObject({
    Schedule: { Expression: 'rate(1 minute)' },
    StartCanaryAfterCreation: true,
  });
  const script = String(Object(canary?.Properties['Code']).Script);
  expect(script).toContain(`"${standby.region}.gateway.example.com"`);
  expect(script).toContain('/v1/chat/completions');
  expect(script).toContain('holdfast-production/canary');
  expect(script, 'firewalls block requests without one').toContain("'user-agent'");
  expect(new Script(script), 'it parses').toBeDefined();
});

test('topics are encrypted, take TLS only, and let CloudWatch, Backup and RDS speak', () => {
  expect(inStack('monitoring', 'AWS::SNS::Topic').every(({ Properties }) => 'KmsMasterKeyId' in Properties)).toBe(true);
  const policies = JSON.stringify(inStack('monitoring', 'AWS::SNS::TopicPolicy'));
  for (const service of ['cloudwatch', 'backup', 'events.rds']) expect(policies).toContain(`${service}.amazonaws.com`);
  expect(policies).toContain('"aws:SecureTransport":"false"');
});

describe('backups', () => {
  test('start outside of the database’s own windows and the hour before them, which AWS Backup passes over', () => {
    const [plan] = inStack('backup', 'AWS::Backup::BackupPlan', shipped.primary.region);
    const hours = [...JSON.stringify(plan?.Properties).matchAll(/cron\(0 (\d+) /g)].map(([, hour]) => Number(hour));
    expect(hours).toHaveLength(2);
    const [database] = inStack('data', 'AWS::RDS::DBInstance', shipped.primary.region);
    for (const window of ['PreferredBackupWindow', 'PreferredMaintenanceWindow']) {
      const [from = 0, to = 0] = [...String(database?.Properties[window]).matchAll(/(\d\d):(\d\d)/g)].map(
        ([, hour, minute]) => Number(hour) + Number(minute) / 60,
      );
      for (const hour of hours) expect(hour < from - 1 || hour > to, `${hour} and ${window}`).toBe(true);
    }
  });

  test('are taken of the database that takes writes, daily and monthly, and copied to another region', () => {
    const [plan] = inStack('backup', 'AWS::Backup::BackupPlan', shipped.primary.region);
    const text = JSON.stringify(plan?.Properties);
    expect(text.split(backupVaultArn(shipped, standby)).length - 1).toBe(2);
    const [selection] = inStack('backup', 'AWS::Backup::BackupSelection', shipped.primary.region);
    expect(JSON.stringify(selection?.Properties)).toContain(databaseIdentifier(shipped, shipped.primary));
  });

  test('are not taken of a replica: one that is being backed up cannot be promoted', () => {
    expect(inStack('backup', 'AWS::Backup::BackupPlan')).toEqual([]);
  });

  test('cannot be deleted while they are young, and are restored every week to see that they can be', () => {
    for (const { region } of shipped.regions) {
      expect(inStack('backup', 'AWS::Backup::BackupVault', region)[0]?.Properties).toMatchObject({
        LockConfiguration: { MinRetentionDays: 7 },
      });
      expect(inStack('backup', 'AWS::Backup::RestoreTestingPlan', region)).toHaveLength(1);
      expect(inStack('backup', 'AWS::Backup::RestoreTestingSelection', region)).toHaveLength(1);
    }
  });

  test('and the database’s log go to another region as they are made, so that it can be restored there to any moment', () => {
    const [origin] = inStack('data', 'AWS::RDS::DBInstance', shipped.primary.region).filter(
      ({ Properties }) => 'Engine' in Properties,
    );
    expect(JSON.stringify(origin?.Properties['AutomaticBackupReplicationRegion'])).toContain(standby.region);
    expect(JSON.stringify(origin?.Properties['AutomaticBackupReplicationKmsKeyId'])).toContain(
      `arn:aws:kms:${standby.region}:`,
    );
    const single = definePlatform(specOf('standard', 'single-region'));
    const [lonely] = resourcesOf(synthesize(single).stacks, 'AWS::RDS::DBInstance');
    expect(JSON.stringify(lonely?.Properties['AutomaticBackupReplicationRegion'])).toContain('us-west-2');
  });
});

describe('drills', () => {
  const experiments = inStack('resilience', 'AWS::FIS::ExperimentTemplate');
  const names = experiments.map(({ Properties }) => String(Object(Properties['Tags']).Name));

  test('lose each zone, cut each link, and delete pods', () => {
    expect(names.toSorted()).toEqual([
      'gateway-pods-deleted',
      'link-cut-eu-west-1',
      'link-cut-us-east-1',
      'zone-loss-us-west-2a',
      'zone-loss-us-west-2b',
      'zone-loss-us-west-2c',
    ]);
  });

  test('fail the database over where it has another zone to go to', () => {
    const primary = inStack('resilience', 'AWS::FIS::ExperimentTemplate', shipped.primary.region);
    expect(primary.map(({ Properties }) => Object(Properties['Tags']).Name)).toContain('database-failover');
  });

  test('end at once when clients notice, and fail when they hit nothing', () => {
    for (const { Properties } of experiments) {
      expect(JSON.stringify(Properties['StopConditions'])).toContain('CanaryFailing');
      expect(Properties['ExperimentOptions']).toMatchObject({ EmptyTargetResolutionMode: 'fail' });
    }
  });

  test('delete pods as a user whom the cluster lets in, by a pod that the namespace takes', () => {
    const pods = experiments.find(({ Properties }) => Object(Properties['Tags']).Name === 'gateway-pods-deleted');
    expect(Object(pods?.Properties['Actions']).delete.Parameters).toMatchObject({
      kubernetesServiceAccount: 'fault-injection',
      fisPodSecurityPolicy: 'restricted',
    });
    const [entry, ...others] = inStack('resilience', 'AWS::EKS::AccessEntry');
    expect(entry?.Properties).toMatchObject({
      ClusterName: `holdfast-production-${standby.region}`,
      PrincipalArn: pods?.Properties['RoleArn'],
      Username: 'fis-experiment',
    });
    expect(others).toEqual([]);
    const without = synthesize(definePlatform(specOf('high', 'active-passive', 2))).stacks;
    expect(resourcesOf(without, 'AWS::EKS::AccessEntry')).toEqual([]);
    expect(JSON.stringify(resourcesOf(without, 'AWS::FIS::ExperimentTemplate'))).not.toContain('pods-deleted');
  });

  test('of a link cut all ways to the other region: routes, the private way, and copies of objects', () => {
    const cut = experiments.find(({ Properties }) => Object(Properties['Tags']).Name === 'link-cut-us-east-1');
    const { buckets, 'private-ways': ways } = Object(cut?.Properties['Targets']);
    expect(Object(cut?.Properties['Actions'])).toMatchObject({
      'cut-network': { Parameters: { region: 'us-east-1' } },
      'cut-private-ways': { ActionId: 'aws:network:disrupt-vpc-endpoint' },
      'pause-replication': { Parameters: { region: 'us-east-1' } },
    });
    const tagsOf = ({ Properties }: Resource): Record<string, string> =>
      Object.fromEntries(
        Object(Properties['Tags']).map(({ Key, Value }: { Key: string; Value: string }) => [Key, Value]),
      );
    const matching = (type: string, tags: Record<string, string>): Resource[] =>
      resourcesOf(
        stacks.filter(({ region }) => region === standby.region),
        type,
      ).filter((resource) => Object.entries(tags).every(([key, value]) => tagsOf(resource)[key] === value));
    // FIS finds buckets by tags alone, and both targets by these.
    expect(buckets.ResourceArns).toBeUndefined();
    expect(matching('AWS::S3::Bucket', buckets.ResourceTags).length).toBe(5);
    expect(
      matching('AWS::EC2::VPCEndpoint', ways.ResourceTags).map(({ Properties }) => Properties['ServiceRegion']),
    ).toEqual(['us-east-1']);
  });

  test('of a zone cut off exactly the subnets of that zone', () => {
    const [zone] = experiments.filter(({ Properties }) => Object(Properties['Tags']).Name === 'zone-loss-us-west-2a');
    expect(Object(Object(zone?.Properties['Targets']).subnets).ResourceArns).toHaveLength(3);
  });
});

test('tier critical lets AWS take an impaired zone out by itself, the others do not', () => {
  const typesOf = (tier: 'critical' | 'high'): number =>
    resourcesOf(
      synthesize(definePlatform(specOf(tier, 'active-passive', 2))).stacks,
      'AWS::ARCZonalShift::ZonalAutoshiftConfiguration',
    ).length;
  // Both load balancers and the cluster of either region.
  expect(typesOf('critical')).toBe(6);
  expect(typesOf('high')).toBe(0);
});

test('AWS’s own recovery plan is there only when it is asked for, and asks a person whether the claim is seized', () => {
  expect(resourcesOf(stacks, 'AWS::ARCRegionSwitch::Plan')).toEqual([]);
  const platform = definePlatform({ ...specOf('high', 'active-passive', 2), regionSwitchPlan: true });
  const [plan] = resourcesOf(synthesize(platform).stacks, 'AWS::ARCRegionSwitch::Plan');
  expect(plan?.stack.region).toBe(stackNamed(synthesize(platform).stacks, dnsStackName(platform)).region);
  for (const workflow of [Object(plan?.Properties['Workflows'])[0], Object(plan?.Properties['Workflows'])[1]]) {
    expect(workflow.Steps[0]).toMatchObject({ ExecutionBlockType: 'ManualApproval' });
  }
  const [role] = resourcesOf(synthesize(platform).stacks, 'AWS::IAM::Role').filter(
    ({ stack }) => stack.name === plan?.stack.name,
  );
  const entries = resourcesOf(synthesize(platform).stacks, 'AWS::EKS::AccessEntry');
  expect(entries.map(({ stack }) => stack.region)).toEqual(platform.regions.map(({ region }) => region));
  for (const { Properties } of entries) {
    expect(Properties['PrincipalArn']).toBe(`arn:aws:iam::222222222222:role/${String(role?.Properties['RoleName'])}`);
    expect(JSON.stringify(Properties['AccessPolicies'])).toContain('AmazonARCRegionSwitchScalingPolicy');
  }
});

test('CI deploys without a key, from the named runs alone, and may only become what cdk bootstrap made', () => {
  const subject = 'repo:acme/gateway:environment:production';
  const platform = definePlatform({ ...specOf('high', 'active-passive', 2), delivery: { subjects: [subject] } });
  const all = synthesize(platform).stacks;
  const [role] = resourcesOf(all, 'AWS::IAM::Role').filter(
    ({ Properties }) => Properties['RoleName'] === 'acme-production-delivery',
  );
  expect(JSON.stringify(role?.Properties['AssumeRolePolicyDocument'])).toContain(
    `"token.actions.githubusercontent.com:sub":["${subject}"]`,
  );
  const policy = resourcesOf(all, 'AWS::IAM::Policy').find(({ stack }) => stack.name === 'acme-production-delivery');
  const { Statement } = Object(policy?.Properties['PolicyDocument']);
  expect(Statement).toEqual([expect.objectContaining({ Action: 'sts:AssumeRole' })]);
  for (const { region } of platform.regions) {
    expect(Statement[0].Resource).toContain(
      `arn:aws:iam::222222222222:role/cdk-hnb659fds-deploy-role-222222222222-${region}`,
    );
  }
});
