/**
 * Credentials for Bedrock: stated keys, the environment, its web identity (IRSA), or the role of the container (ECS and EKS
 * Pod Identity), in this order; and, where a deployment names a role, a session of it.
 * https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
 */
import type { AwsRole } from '../domain/deployment.ts';
import { askContainerRole, containerEndpoint } from './container-role.ts';
import {
  type AwsCredentialSource,
  type AwsCredentials,
  AwsCredentialsUnavailable,
  type RefreshOptions,
  refreshed,
} from './refreshed-credentials.ts';
import { assumeRole, assumeRoleWithWebIdentity, type SignStsCall } from './security-token-service.ts';

export { type AwsCredentialSource, type AwsCredentials, AwsCredentialsUnavailable } from './refreshed-credentials.ts';

export interface AwsCredentialOptions extends RefreshOptions {
  /** `aws_access_key_id` and its kin of a deployment. */
  readonly stated?: AwsCredentials;
  /** The role that calls are made in. */
  readonly role?: AwsRole;
  /** Where calls to STS are signed for. */
  readonly region: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly signSts: SignStsCall;
  /** For one question to the container's agent; STS, which may be far away, has more. */
  readonly timeoutMs?: number;
  readonly stsTimeoutMs?: number;
}

const defaultTimeoutMs = 2_000;
const defaultStsTimeoutMs = 5_000;

export function awsCredentialSource(options: AwsCredentialOptions): AwsCredentialSource {
  const { role } = options;
  if (role === undefined) return ownSource(options);
  const { webIdentity } = role;
  if (webIdentity !== undefined) {
    return refreshed(() => assumeRoleWithWebIdentity(webIdentity, stsOptions(role, options)), options);
  }
  const environmentRole = options.stated === undefined ? roleOfEnvironment(options) : undefined;
  // A role need not be allowed to assume itself.
  if (environmentRole?.arn === role.arn) return ownSource(options);
  const own = ownSource(options);
  return refreshed(async () => assumeRole(await own(), stsOptions(role, options)), options);
}

/** What this process is by itself. */
function ownSource(options: AwsCredentialOptions): AwsCredentialSource {
  const { environment } = options;
  const fixed = options.stated ?? fromEnvironment(environment);
  if (fixed !== undefined) return () => Promise.resolve(fixed);
  const role = roleOfEnvironment(options);
  const webIdentity = role?.webIdentity;
  if (role !== undefined && webIdentity !== undefined) {
    return refreshed(() => assumeRoleWithWebIdentity(webIdentity, stsOptions(role, options)), options);
  }
  const endpoint = containerEndpoint(environment);
  if (endpoint !== undefined) {
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    return refreshed(() => askContainerRole(endpoint, environment, options.now, timeoutMs), options);
  }
  const none = new AwsCredentialsUnavailable(
    'no AWS credentials: state aws_access_key_id and aws_secret_access_key, set AWS_ACCESS_KEY_ID and ' +
      'AWS_SECRET_ACCESS_KEY, or give the container a role',
  );
  return () => Promise.reject(none);
}

function fromEnvironment(environment: AwsCredentialOptions['environment']): AwsCredentials | undefined {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

/** What EKS sets for a service account with a role (IRSA). Stated keys come before it. */
function roleOfEnvironment({ environment, region }: AwsCredentialOptions): AwsRole | undefined {
  const arn = environment['AWS_ROLE_ARN'];
  const file = environment['AWS_WEB_IDENTITY_TOKEN_FILE'];
  if (!arn || !file || fromEnvironment(environment) !== undefined) return undefined;
  return {
    arn,
    sessionName: environment['AWS_ROLE_SESSION_NAME'] || 'holdfast',
    webIdentity: { file },
    stsOrigin: environment['AWS_ENDPOINT_URL_STS']?.replace(/\/+$/, '') || `https://sts.${region}.amazonaws.com`,
  };
}

const stsOptions = (role: AwsRole, options: AwsCredentialOptions) => ({
  role,
  region: options.region,
  sign: options.signSts,
  now: options.now,
  timeoutMs: options.stsTimeoutMs ?? defaultStsTimeoutMs,
});
