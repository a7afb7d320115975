/** The role that calls to Bedrock are made in, under LiteLLM's names. https://docs.litellm.ai/docs/providers/bedrock#authentication */
import type { AwsRole, WebIdentity } from '../domain/deployment.ts';
import type { ConfigPath } from './document.ts';
import type { Environment } from './environment.ts';
import type { ModelEntry } from './schema.ts';

export interface InvalidRole {
  readonly invalid: string;
  readonly path: ConfigPath;
  readonly leaveOut: boolean;
}

const defaultSessionName = 'holdfast';

/**
 * @param region of the deployment; its Security Token Service is asked.
 * @param hasKey whether calls carry a key instead of a signature.
 * @returns undefined when no role is stated.
 */
export function readAwsRole(
  params: ModelEntry['litellm_params'],
  region: string,
  hasKey: boolean,
  environment: Environment,
): AwsRole | InvalidRole | undefined {
  const fault = (name: string, invalid: string): InvalidRole => ({
    invalid,
    path: ['litellm_params', name],
    leaveOut: false,
  });
  if (params.aws_profile_name !== undefined) {
    return fault(
      'aws_profile_name',
      'is not supported: no profiles are read here; write aws_role_name, or aws_access_key_id and aws_secret_access_key',
    );
  }
  const { aws_role_name: arn, aws_session_name: sessionName, aws_web_identity_token: token } = params;
  if (arn === undefined) {
    const orphan = (['aws_session_name', 'aws_web_identity_token', 'aws_external_id'] as const).find(
      (name) => params[name] !== undefined,
    );
    return orphan === undefined ? undefined : fault(orphan, 'belongs to a role; write aws_role_name as well');
  }
  if (!/^arn:aws[a-z-]*:iam::\d{12}:role\/\S+$/.test(arn)) {
    return fault('aws_role_name', 'must be the ARN of a role, for example arn:aws:iam::123456789012:role/bedrock');
  }
  if (hasKey) {
    return fault(
      'aws_role_name',
      'cannot be used beside a key; remove it, or api_key and the variable AWS_BEARER_TOKEN_BEDROCK',
    );
  }
  if (sessionName !== undefined && !/^[\w+=,.@-]{2,64}$/.test(sessionName)) {
    return fault('aws_session_name', 'must be 2 to 64 letters, digits or any of +=,.@_-');
  }
  const stsOrigin = originOf(
    params.aws_sts_endpoint ?? (environment['AWS_ENDPOINT_URL_STS'] || `https://sts.${region}.amazonaws.com`),
  );
  if (stsOrigin === undefined) {
    return fault('aws_sts_endpoint', 'must be an address, for example https://sts.eu-central-1.amazonaws.com');
  }
  const webIdentity = token === undefined ? undefined : readWebIdentity(token, environment);
  if (typeof webIdentity === 'string') {
    return { ...fault('aws_web_identity_token', webIdentity), leaveOut: webIdentity.endsWith('is not set') };
  }
  return {
    arn,
    sessionName: sessionName ?? defaultSessionName,
    stsOrigin,
    ...(params.aws_external_id === undefined ? {} : { externalId: params.aws_external_id }),
    ...(webIdentity === undefined ? {} : { webIdentity }),
  };
}

function originOf(address: string): string | undefined {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) ? url.origin : undefined;
}

/** @returns what is wrong, as a text. */
function readWebIdentity(value: string, environment: Environment): WebIdentity | string {
  const [, kind, place = ''] = /^oidc\/([a-z_]+)\/(.+)$/.exec(value) ?? [];
  switch (kind) {
    case 'file':
      return { file: place };
    case 'env':
    case 'env_path': {
      const found = environment[place];
      if (found === undefined || found === '') return `the environment variable ${place} is not set`;
      return kind === 'env' ? { token: found } : { file: found };
    }
    case undefined:
      if (value.startsWith('/')) return { file: value };
      // Three parts: a token itself, which is not repeated in a message.
      if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(value)) return { token: value };
  }
  return 'must be oidc/file/PATH, oidc/env/VARIABLE, oidc/env_path/VARIABLE, a path or a token';
}
