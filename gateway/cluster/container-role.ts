/**
 * The role of a container of ECS, or of EKS Pod Identity, from the agent beside it.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { AwsCredentialsUnavailable, type HeldCredentials, readText, reasonOf } from './refreshed-credentials.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const ecsOrigin = 'http://169.254.170.2';
/** Of ECS and of EKS Pod Identity. Not all of link-local: the metadata of the instance is another service. */
const agentHosts: ReadonlySet<string> = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]']);

/** @throws AwsCredentialsUnavailable for an address that would carry the token off this machine. */
export function containerEndpoint(environment: Environment): URL | undefined {
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const full = environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  const address = relative ? `${ecsOrigin}/${relative.replace(/^\/+/, '')}` : full;
  if (!address) return undefined;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || !isLocal(url.hostname)) {
    throw new AwsCredentialsUnavailable(
      'AWS_CONTAINER_CREDENTIALS_FULL_URI must be an http address of this machine or of the agent of ECS or EKS',
    );
  }
  return url;
}

const isLocal = (host: string): boolean =>
  host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.')) || agentHosts.has(host);

/** @throws AwsCredentialsUnavailable. */
export async function askContainerRole(
  endpoint: URL,
  environment: Environment,
  now: () => number,
  timeoutMs: number,
): Promise<HeldCredentials> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const token = await readToken(environment, signal);
    const response = await fetch(endpoint, {
      headers: token === undefined ? {} : { authorization: token },
      // A redirect could carry the token elsewhere.
      redirect: 'error',
      signal,
    });
    const text = await readText(response);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const held = readAnswer(text);
    if ((held.expiresAtMs ?? Number.POSITIVE_INFINITY) <= now()) throw new Error('they have expired');
    return held;
  } catch (error) {
    throw new AwsCredentialsUnavailable(`the role of the container gave no credentials: ${reasonOf(error)}`, error);
  }
}

/** The file is read every time: Kubernetes replaces the token in it. */
async function readToken(environment: Environment, signal: AbortSignal): Promise<string | undefined> {
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const token = file
    ? await readFile(file, { encoding: 'utf8', signal })
    : environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  const trimmed = token?.trim();
  if (trimmed !== undefined && /[\r\n]/.test(trimmed)) throw new Error('the authorization token has several lines');
  return trimmed === '' ? undefined : trimmed;
}

const answer = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1).optional(),
  Expiration: z.string().optional(),
});

/** @throws Error that names the members that are wrong, and never a value. */
function readAnswer(text: string): HeldCredentials {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error('the answer is not JSON', { cause: error });
  }
  const parsed = answer.safeParse(body);
  if (!parsed.success) {
    throw new Error(
      `the answer lacks ${parsed.error.issues.map((issue) => issue.path.join('.') || 'an object').join(', ')}`,
    );
  }
  const { AccessKeyId, SecretAccessKey, Token, Expiration } = parsed.data;
  const expiresAtMs = Expiration === undefined ? undefined : Date.parse(Expiration);
  if (Number.isNaN(expiresAtMs)) throw new Error('Expiration is not a time');
  const sessionToken = Token === undefined ? {} : { sessionToken: Token };
  return { credentials: { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, ...sessionToken }, expiresAtMs };
}
