import { describe, expect, it } from 'vitest';
import { faultsOf, load } from './load-example.ts';

const arn = 'arn:aws:iam::123456789012:role/bedrock';
const config = (params: string): string => `model_list:
  - model_name: chat
    litellm_params: {model: bedrock/eu-central-1/anthropic.claude-sonnet-4-5, ${params}}
`;
const roleOf = (params: string, environment: Record<string, string> = {}) =>
  load(config(params), { environment }).config.groups.get('chat')?.[0]?.aws?.role;

describe('a role of Bedrock', () => {
  it('has a name for its sessions and the service of its region, unless the entry says otherwise', () => {
    expect(roleOf(`aws_role_name: "${arn}"`)).toEqual({
      arn,
      sessionName: 'holdfast',
      stsOrigin: 'https://sts.eu-central-1.amazonaws.com',
    });
    expect(
      roleOf(
        `aws_role_name: "${arn}", aws_session_name: team-a, aws_external_id: ext, aws_sts_endpoint: "https://vpce.example/"`,
      ),
    ).toEqual({ arn, sessionName: 'team-a', externalId: 'ext', stsOrigin: 'https://vpce.example' });
    expect(roleOf(`aws_role_name: "${arn}"`, { AWS_ENDPOINT_URL_STS: 'http://127.0.0.1:1' })).toMatchObject({
      stsOrigin: 'http://127.0.0.1:1',
    });
  });

  it.each([
    ['oidc/file//var/run/token', { file: '/var/run/token' }],
    ['/var/run/token', { file: '/var/run/token' }],
    ['oidc/env/MY_TOKEN', { token: 'x.y.z' }],
    ['oidc/env_path/MY_FILE', { file: '/run/t' }],
    ['os.environ/MY_TOKEN', { token: 'x.y.z' }],
    ['aaa.bbb.ccc', { token: 'aaa.bbb.ccc' }],
  ])('shows the web identity %s', (token, webIdentity) => {
    const environment = { MY_TOKEN: 'x.y.z', MY_FILE: '/run/t' };
    expect(roleOf(`aws_role_name: "${arn}", aws_web_identity_token: "${token}"`, environment)).toMatchObject({
      webIdentity,
    });
  });

  it.each([
    ['aws_profile_name: dev', 'aws_profile_name', 'no profiles are read here'],
    ['aws_role_name: bedrock', 'aws_role_name', 'must be the ARN'],
    [`aws_role_name: "${arn}", api_key: k`, 'aws_role_name', 'beside a key'],
    [`aws_role_name: "${arn}", aws_session_name: "a b"`, 'aws_session_name', '2 to 64'],
    [`aws_role_name: "${arn}", aws_sts_endpoint: sts`, 'aws_sts_endpoint', 'must be an address'],
    [`aws_role_name: "${arn}", aws_web_identity_token: oidc/google/x`, 'aws_web_identity_token', 'must be oidc/file'],
    ['aws_session_name: team', 'aws_session_name', 'write aws_role_name as well'],
    ['aws_web_identity_token: a.b.c', 'aws_web_identity_token', 'write aws_role_name as well'],
  ])('%s: the fault names the field and the mend', (params, field, words) => {
    const [fault] = faultsOf(config(params), { environment: {} });
    expect(fault?.path).toContain(field);
    expect(fault?.message).toContain(words);
  });

  it('whose variable is not set leaves its deployment out, as a missing key does', () => {
    const text = `${config(`aws_role_name: "${arn}", aws_web_identity_token: oidc/env/NOT_SET`)}  - model_name: other
    litellm_params: {model: openai/gpt-4o, api_key: sk-a-key}
`;
    const { config: loaded, warnings } = load(text, { environment: {} });
    expect([...loaded.groups.keys()]).toEqual(['other']);
    expect(warnings.map(({ message }) => message).join()).toContain('NOT_SET is not set');
  });
});
