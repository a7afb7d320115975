/**
 * Credentials for Bedrock: stated keys, the environment, or the role of the container (ECS and EKS Pod Identity), in this
 * order. https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 */
import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { z } from 'zod';

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Answers at once while it holds credentials that are valid. @throws AwsCredentialsUnavailable. */
export type AwsCredentialSource = () => Promise<AwsCredentials>;

export interface AwsCredentialOptions {
  /** `aws_access_key_id` and its kin of a deployment. */
  readonly stated?: AwsCredentials;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Wall clock, milliseconds: credentials expire by it. */
  readonly now: () => number;
  /** A refresh failed while the credentials at hand are still valid. */
  readonly onRefreshFailed: (error: Error) => void;
  readonly timeoutMs?: number;
}

/** Never holds a secret in its message. */
export class AwsCredentialsUnavailable extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'AwsCredentialsUnavailable';
  }
}

export function awsCredentialSource(options: AwsCredentialOptions): AwsCredentialSource {
  const { environment } = options;
  const fixed = options.stated ?? fromEnvironment(environment);
  if (fixed !== undefined) return () => Promise.resolve(fixed);
  const endpoint = containerEndpoint(environment);
  if (endpoint !== undefined) {
    const role = new ContainerRole(endpoint, options);
    return () => role.credentials();
  }
  return () =>
    Promise.reject(
      new AwsCredentialsUnavailable(
        'no AWS credentials: state aws_access_key_id and aws_secret_access_key, set AWS_ACCESS_KEY_ID and ' +
          'AWS_SECRET_ACCESS_KEY, or give the container a role',
      ),
    );
}

function fromEnvironment(environment: AwsCredentialOptions['environment']): AwsCredentials | undefined {
  const accessKeyId = environment['AWS_ACCESS_KEY_ID'];
  const secretAccessKey = environment['AWS_SECRET_ACCESS_KEY'];
  const sessionToken = environment['AWS_SESSION_TOKEN'];
  if (!accessKeyId || !secretAccessKey) return undefined;
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

const ecsOrigin = 'http://169.254.170.2';
/** Of ECS and of EKS Pod Identity. Not all of link-local: the metadata of the instance is another service. */
const agentHosts: ReadonlySet<string> = new Set(['169.254.170.2', '169.254.170.23', '[fd00:ec2::23]']);

/** @throws AwsCredentialsUnavailable for an address that would carry the token off this machine. */
function containerEndpoint(environment: AwsCredentialOptions['environment']): URL | undefined {
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

/** Refreshed this long before the end: several tries fit in, and a request never waits for one. */
const refreshAheadMs = 5 * 60_000;
/** A signature must still be valid when it arrives. */
const leastValidMs = 30_000;
/** Between two tries while the credentials at hand still serve. */
const retryAfterMs = 10_000;
const defaultTimeoutMs = 2_000;
const largestAnswerBytes = 64 * 1024;

interface Held {
  readonly credentials: AwsCredentials;
  /** Undefined when they do not expire. */
  readonly expiresAtMs: number | undefined;
}

class ContainerRole {
  readonly #endpoint: URL;
  readonly #options: AwsCredentialOptions;
  #held: Held | undefined;
  /** The one question that is under way. */
  #asking: Promise<Held> | undefined;
  #notBeforeMs = 0;

  constructor(endpoint: URL, options: AwsCredentialOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
  }

  async credentials(): Promise<AwsCredentials> {
    const held = this.#held;
    const leftMs = held === undefined ? 0 : (held.expiresAtMs ?? Number.POSITIVE_INFINITY) - this.#options.now();
    if (held === undefined || leftMs < leastValidMs) return (await this.#ask()).credentials;
    if (leftMs < refreshAheadMs && this.#options.now() >= this.#notBeforeMs) {
      this.#ask().catch((error: unknown) => this.#options.onRefreshFailed(asError(error)));
    }
    return held.credentials;
  }

  #ask(): Promise<Held> {
    this.#asking ??= this.#fetch()
      .then((held) => (this.#held = held))
      .finally(() => {
        this.#asking = undefined;
        this.#notBeforeMs = this.#options.now() + retryAfterMs;
      });
    return this.#asking;
  }

  async #fetch(): Promise<Held> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs ?? defaultTimeoutMs);
    try {
      const token = await readToken(this.#options.environment, signal);
      const response = await fetch(this.#endpoint, {
        headers: token === undefined ? {} : { authorization: token },
        // A redirect could carry the token elsewhere.
        redirect: 'error',
        signal,
      });
      const text = await readText(response);
      if (!response.ok) throw new Error(`status ${response.status}`);
      const held = readAnswer(text);
      if ((held.expiresAtMs ?? Number.POSITIVE_INFINITY) <= this.#options.now()) throw new Error('they have expired');
      return held;
    } catch (error) {
      throw new AwsCredentialsUnavailable(`the role of the container gave no credentials: ${reasonOf(error)}`, error);
    }
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** `fetch` hides what happened to the connection in its cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = asError(error);
  return cause instanceof Error ? `${message} (${cause.message})` : message;
}

/** The file is read every time: Kubernetes replaces the token in it. */
async function readToken(
  environment: AwsCredentialOptions['environment'],
  signal: AbortSignal,
): Promise<string | undefined> {
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const token = file
    ? await readFile(file, { encoding: 'utf8', signal })
    : environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  const trimmed = token?.trim();
  if (trimmed !== undefined && /[\r\n]/.test(trimmed)) throw new Error('the authorization token has several lines');
  return trimmed === '' ? undefined : trimmed;
}

async function readText(response: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.length;
    if (size > largestAnswerBytes) throw new Error('the answer is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

const answer = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  Token: z.string().min(1).optional(),
  Expiration: z.string().optional(),
});

/** @throws Error that names the members that are wrong, and never a value. */
function readAnswer(text: string): Held {
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
