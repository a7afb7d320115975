import { Aws, Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import * as synthetics from 'aws-cdk-lib/aws-synthetics';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

export interface CompletionCanaryProps {
  readonly name: string;
  readonly secretName: string;
  readonly key: kms.IKey;
  /** Name of the region under which it is asked. */
  readonly domain: string;
  readonly model: string;
  /** Where its results are kept. */
  readonly resultsBucket: string;
}

const everyMinutes = 1;
/** A model that answers later than this does not count as serving. */
const patienceSeconds = 30;

/** Asks for one token of a real completion every minute, from outside of the network, as a client does. */
export class CompletionCanary extends Construct {
  constructor(scope: Construct, id: string, props: CompletionCanaryProps) {
    super(scope, id);
    const secret = new secretsmanager.Secret(this, 'Key', {
      secretName: props.secretName,
      description: 'A gateway key with a small budget, for the canary; put one in, the first value is none',
      encryptionKey: props.key,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(secret, 'AwsSolutions-SMG4', 'It holds a key of the gateway, which makes and rotates its own keys.');
    const role = this.role(props, secret);
    new synthetics.CfnCanary(this, 'Canary', {
      name: props.name,
      artifactS3Location: `s3://${props.resultsBucket}/canary`,
      executionRoleArn: role.roleArn,
      // Newest that has no browser. It runs on Node.js 20 and is in AWS's list of supported ones, not in that of deprecated
      // ones (read in November 2026); those with a browser are on 22 and take the same script, should it go.
      runtimeVersion: synthetics.Runtime.SYNTHETICS_NODEJS_3_1.name,
      schedule: { expression: `rate(${everyMinutes} minute)`, retryConfig: { maxRetries: 0 } },
      runConfig: { timeoutInSeconds: patienceSeconds + 15, activeTracing: false },
      startCanaryAfterCreation: true,
      successRetentionPeriod: 7,
      failureRetentionPeriod: 31,
      provisionedResourceCleanup: 'AUTOMATIC',
      code: { handler: 'index.handler', script: script(props) },
    });
  }

  private role(props: CompletionCanaryProps, secret: secretsmanager.ISecret): iam.Role {
    const role = new iam.Role(this, 'Role', {
      description: `Canary of ${props.domain}`,
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      maxSessionDuration: Duration.hours(1),
    });
    secret.grantRead(role);
    const logGroups = `arn:${Aws.PARTITION}:logs:${Aws.REGION}:${Aws.ACCOUNT_ID}:log-group:/aws/lambda/cwsyn-${props.name}-*`;
    const bucket = `arn:${Aws.PARTITION}:s3:::${props.resultsBucket}`;
    role.addToPolicy(new iam.PolicyStatement({ actions: ['s3:PutObject'], resources: [`${bucket}/canary/*`] }));
    role.addToPolicy(new iam.PolicyStatement({ actions: ['s3:GetBucketLocation'], resources: [bucket] }));
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['logs:CreateLogGroup', 'logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroups],
      }),
    );
    role.addToPolicy(
      new iam.PolicyStatement({
        actions: ['cloudwatch:PutMetricData'],
        resources: ['*'],
        conditions: { StringEquals: { 'cloudwatch:namespace': 'CloudWatchSynthetics' } },
      }),
    );
    acknowledge(
      role,
      `AwsSolutions-IAM5[Resource::*]`,
      'Metrics have no resources; a condition narrows it to the namespace of canaries.',
    );
    acknowledge(
      role,
      `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:/aws/lambda/cwsyn-${props.name}-*]`,
      'Synthetics appends an id of its own to the name of the function.',
    );
    acknowledge(
      role,
      `AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:s3:::${props.resultsBucket}/canary/*]`,
      'Results are named by their time, in a folder of their own.',
    );
    return role;
  }
}

/** Everything that a client needs works, or this throws with what did not: name, TLS, key, routing, provider. */
const script = ({ domain, model, secretName }: CompletionCanaryProps): string => `const https = require('https');
const { SecretsManagerClient, GetSecretValueCommand } = require('@aws-sdk/client-secrets-manager');

exports.handler = async () => {
  const secrets = new SecretsManagerClient({});
  const { SecretString: key } = await secrets.send(new GetSecretValueCommand({ SecretId: ${JSON.stringify(secretName)} }));
  const body = JSON.stringify({ model: ${JSON.stringify(model)}, max_tokens: 1, messages: [{ role: 'user', content: 'ping' }] });
  const { status, text } = await ask(body, key.trim());
  if (status !== 200) throw new Error('completion answered ' + status + ': ' + text.slice(0, 300));
  if (!Array.isArray(JSON.parse(text).choices)) throw new Error('the answer has no choices');
};

const ask = (body, key) => new Promise((resolve, reject) => {
  const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-cache', 'user-agent': 'holdfast-canary' };
  const request = https.request({ host: ${JSON.stringify(domain)}, path: '/v1/chat/completions', method: 'POST', headers }, (response) => {
    let text = '';
    response.on('data', (chunk) => (text += chunk));
    response.on('end', () => resolve({ status: response.statusCode, text }));
  });
  request.setTimeout(${patienceSeconds * 1000}, () => request.destroy(new Error('no answer within ${patienceSeconds} s')));
  request.on('error', reject);
  request.end(body);
});
`;
