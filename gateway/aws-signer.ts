/** Signs calls to Bedrock with whatever credentials their deployment has: its own, the environment's, the container's, a role's. */
import { type AwsCredentialSource, AwsCredentialsUnavailable, awsCredentialSource } from './cluster/aws-credentials.ts';
import type { AwsAccess } from './domain/deployment.ts';
import { UpstreamError } from './domain/errors.ts';
import type { SignCall } from './pipeline/attempt.ts';
import { sign } from './providers/bedrock/sign.ts';
import type { Logger } from './telemetry/log.ts';

export function awsSigner(environment: Readonly<Record<string, string | undefined>>, logger: Logger): SignCall {
  const sourceOf = sharedSources((aws) =>
    awsCredentialSource({
      environment,
      region: aws.region,
      now: Date.now,
      onRefreshFailed: (error) =>
        logger.warn({ err: error }, 'AWS credentials could not be refreshed; the old ones are used'),
      signSts: (call, credentials, region) => sign(call, credentials, region, new Date(), 'sts'),
      ...(aws.credentials === undefined ? {} : { stated: aws.credentials }),
      ...(aws.role === undefined ? {} : { role: aws.role }),
    }),
  );
  /** Those who waited for one question share its error, which is written once. */
  let told: Error | undefined;
  return async (call, deployment, signal) => {
    const { aws } = deployment;
    if (aws === undefined) return call;
    try {
      return await sign(call, await sourceOf(aws)(signal), aws.region, new Date());
    } catch (cause) {
      if (!(cause instanceof AwsCredentialsUnavailable)) throw cause;
      if (cause !== told) logger.warn({ err: cause, deployment: deployment.id }, 'no AWS credentials for a call');
      told = cause;
      const { provider } = deployment;
      throw new UpstreamError({ kind: 'authentication', status: 401, provider, message: cause.message, cause });
    }
  };
}

/** One source for all deployments that call as the same identity: it is asked for once, and refreshed once. */
function sharedSources(open: (aws: AwsAccess) => AwsCredentialSource): (aws: AwsAccess) => AwsCredentialSource {
  const byIdentity = new Map<string, AwsCredentialSource>();
  /** So that the identity need not be printed for every call. */
  const byAccess = new WeakMap<AwsAccess, AwsCredentialSource>();
  return (aws) => {
    let source = byAccess.get(aws);
    if (source === undefined) {
      // Where nothing is assumed the region plays no part: what is signed names its own.
      const identity = JSON.stringify([aws.credentials, aws.role, aws.role === undefined ? undefined : aws.region]);
      source = byIdentity.get(identity) ?? open(aws);
      byIdentity.set(identity, source);
      byAccess.set(aws, source);
    }
    return source;
  };
}
