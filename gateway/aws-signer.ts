/** Signs calls to Bedrock with whatever credentials their deployment has: its own, the environment's, the container's. */
import { type AwsCredentialSource, AwsCredentialsUnavailable, awsCredentialSource } from './cluster/aws-credentials.ts';

import { UpstreamError } from './domain/errors.ts';
import type { SignCall } from './pipeline/attempt.ts';
import { sign } from './providers/bedrock/sign.ts';
import type { Logger } from './telemetry/log.ts';

export function awsSigner(environment: Readonly<Record<string, string | undefined>>, logger: Logger): SignCall {
  /** By access key; one for all deployments that state none. */
  const sources = new Map<string, AwsCredentialSource>();
  return async (call, deployment) => {
    const { aws } = deployment;
    if (aws === undefined) return call;
    try {
      const name = aws.credentials?.accessKeyId ?? '';
      let source = sources.get(name);
      if (source === undefined) {
        source = awsCredentialSource({
          environment,
          now: Date.now,
          onRefreshFailed: (error) =>
            logger.warn({ err: error }, 'AWS credentials could not be refreshed; the old ones are used'),
          ...(aws.credentials === undefined ? {} : { stated: aws.credentials }),
        });
        sources.set(name, source);
      }
      return await sign(call, await source(), aws.region, new Date());
    } catch (cause) {
      if (!(cause instanceof AwsCredentialsUnavailable)) throw cause;
      const { provider } = deployment;
      throw new UpstreamError({ kind: 'authentication', status: 401, provider, message: cause.message, cause });
    }
  };
}
