import type * as kms from 'aws-cdk-lib/aws-kms';
import * as rds from 'aws-cdk-lib/aws-rds';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import type * as sns from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { type RunbookId, runbookPage } from '../../runbooks/catalog.ts';
import { awsAlarms } from '../alerts/aws-alarms.ts';
import { AlertTopic } from '../constructs/alert-topic.ts';
import { CanaryResults } from '../constructs/canary-results.ts';
import { CompletionCanary } from '../constructs/completion-canary.ts';
import { CustomerKey } from '../constructs/customer-key.ts';
import { RegionAlarm } from '../constructs/region-alarm.ts';
import { RegionDashboard } from '../constructs/region-dashboard.ts';
import { RotationReminder } from '../constructs/rotation-reminder.ts';
import {
  alarmArn,
  alarmName,
  bucketName,
  canaryName,
  canarySecretName,
  clusterName,
  databaseIdentifier,
  prefix,
  regionalDomain,
  rotationScheduleName,
  topicName,
} from '../platform/names.ts';
import type { Platform } from '../platform/platform.ts';
import type { IngressStack } from './ingress.ts';
import { type RegionalProps, RegionalStack } from './regional-stack.ts';

export interface MonitoringStackProps extends RegionalProps {
  readonly accessLogs: s3.IBucket;
  readonly ingress: IngressStack;
}

/** What AWS itself sees of the region, and who is told. It works while the cluster and its Prometheus do not. */
export class MonitoringStack extends RegionalStack {
  readonly critical: sns.Topic;
  readonly warning: sns.Topic;

  constructor(scope: Construct, props: MonitoringStackProps) {
    super(scope, 'monitoring', props);
    const { platform, region, ingress } = props;
    const { alertEmails, runbookUrl, canaryModel } = platform.operations;
    const key = new CustomerKey(this, 'Key', {
      alias: `${prefix(platform)}/alerts`,
      description: 'Alerts and the canary’s key',
    });
    AlertTopic.admitPublishers(key, region.account);
    const topic = (severity: 'critical' | 'warning'): sns.Topic =>
      new AlertTopic(this, severity, {
        name: topicName(platform, severity),
        key,
        account: region.account,
        emails: alertEmails,
      });
    this.critical = topic('critical');
    this.warning = topic('warning');
    const alarms = awsAlarms(platform, region, ingress.deployed);
    for (const alarm of alarms) {
      new RegionAlarm(this, alarm.name, {
        alarmName: alarmName(platform, region.region, alarm.name),
        alarm,
        topicArn: this[alarm.severity].topicArn,
        runbookUrl,
      });
    }
    new RegionDashboard(this, 'Overview', {
      name: clusterName(platform, region.region),
      region: region.region,
      alarms,
      alarmArns: alarms.map(({ name }) => alarmArn(platform, region, name)),
    });
    this.watchDatabase(props, key);
    new RotationReminder(this, 'Rotation', {
      name: rotationScheduleName(platform, region.region),
      account: region.account,
      everyDays: platform.tier.credentialRotationDays,
      topic: this.warning,
      key,
      message: rotationMessage(platform, region.region),
    });
    const resultsBucket = bucketName(platform, region, 'canary');
    const results = new CanaryResults(this, 'Results', { name: resultsBucket, accessLogs: props.accessLogs });
    const canary = new CompletionCanary(this, 'Completion', {
      name: canaryName(platform),
      secretName: canarySecretName(platform),
      key,
      domain: regionalDomain(platform, region.region),
      model: canaryModel,
      resultsBucket,
    });
    canary.node.addDependency(results);
  }

  /** Failovers, failures and broken replication come as events; no metric shows that a replica was promoted by accident. */
  private watchDatabase({ platform, region }: MonitoringStackProps, key: kms.IKey): void {
    const subscription = new rds.CfnEventSubscription(this, 'DatabaseEvents', {
      subscriptionName: `${prefix(platform)}-${region.region}-database`,
      snsTopicArn: this.critical.topicArn,
      sourceType: 'db-instance',
      sourceIds: [databaseIdentifier(platform, region)],
      eventCategories: ['availability', 'failover', 'failure', 'low storage', 'read replica', 'recovery'],
      enabled: true,
    });
    subscription.node.addDependency(key);
  }
}

/** What the topic's subscribers read. */
function rotationMessage({ cluster, operations: { runbookUrl } }: Platform, region: string): string {
  const book: RunbookId = 'credential-rotation';
  const page = runbookUrl === undefined ? runbookPage(book) : `${runbookUrl}/${runbookPage(book)}`;
  // Without it nothing carries secrets into the cluster, and the book refuses.
  const commands =
    cluster.secretStore === undefined
      ? ['by hand, step by step as the runbook says (or set cluster.secretStore, and the book does it)']
      : ['database', 'cache'].map((one) => `npx holdfast runbook run ${book} region=${region} credential=${one}`);
  return [
    `Credentials of ${region} are due for a successor:`,
    ...commands,
    `Nothing breaks meanwhile; both versions are accepted while gateways change over. ${page}`,
  ].join('\n');
}
