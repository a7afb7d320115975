/**
 * Sessions of roles from AWS's Security Token Service: a form is posted, XML comes back.
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html and ..._AssumeRoleWithWebIdentity.html
 */
import { readFile } from 'node:fs/promises';
import type { AwsRole, WebIdentity } from '../domain/deployment.ts';
import {
  type AwsCredentials,
  AwsCredentialsUnavailable,
  type HeldCredentials,
  readText,
  reasonOf,
} from './refreshed-credentials.ts';

interface StsCall {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Signs a call for STS. It comes from outside, as the rest of what is signed does. */
export type SignStsCall = (call: StsCall, credentials: AwsCredentials, region: string) => Promise<StsCall>;

export interface StsOptions {
  readonly role: AwsRole;
  /** Of the signature. */
  readonly region: string;
  readonly sign: SignStsCall;
  readonly now: () => number;
  readonly timeoutMs: number;
}

/** The longest that a role assumed by a role may last; shorter than what any role allows by default. */
const sessionSeconds = 3600;

/** @param credentials of whoever may assume the role. @throws AwsCredentialsUnavailable. */
export async function assumeRole(credentials: AwsCredentials, options: StsOptions): Promise<HeldCredentials> {
  const { role } = options;
  const fields = {
    ...formOf(role, 'AssumeRole'),
    ...(role.externalId === undefined ? {} : { ExternalId: role.externalId }),
  };
  return ask(fields, options, (call) => options.sign(call, credentials, options.region));
}

/** The token is the proof; nothing is signed. @throws AwsCredentialsUnavailable. */
export async function assumeRoleWithWebIdentity(identity: WebIdentity, options: StsOptions): Promise<HeldCredentials> {
  let token: string;
  try {
    // Kubernetes replaces the token in the file, so it is read for every session.
    token = 'file' in identity ? (await readFile(identity.file, 'utf8')).trim() : identity.token;
  } catch (error) {
    throw unavailable(options.role, 'the file of its web identity token cannot be read', error);
  }
  const fields = { ...formOf(options.role, 'AssumeRoleWithWebIdentity'), WebIdentityToken: token };
  return ask(fields, options, (call) => Promise.resolve(call));
}

const formOf = (role: AwsRole, action: string): Record<string, string> => ({
  Action: action,
  Version: '2011-06-15',
  RoleArn: role.arn,
  RoleSessionName: role.sessionName,
  DurationSeconds: String(sessionSeconds),
});

/** What STS says goes to the log; who asks a model only learns the code, since the words name accounts and users. */
const unavailable = (role: AwsRole, reason: string, cause: unknown): AwsCredentialsUnavailable =>
  new AwsCredentialsUnavailable(
    `the role ${role.arn.replace(/^.*:role\//, '')} could not be assumed: ${reason}`,
    cause,
  );

async function ask(
  fields: Readonly<Record<string, string>>,
  { role, now, timeoutMs }: StsOptions,
  prepare: (call: StsCall) => Promise<StsCall>,
): Promise<HeldCredentials> {
  try {
    const call = await prepare({
      origin: role.stsOrigin,
      path: '/',
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
      body: Buffer.from(new URLSearchParams(fields).toString()),
    });
    const response = await fetch(`${call.origin}${call.path}`, {
      method: 'POST',
      headers: { ...call.headers },
      body: call.body.toString(),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const xml = await readText(response);
    if (!response.ok)
      throw new StsRefusal(elementOf(xml, 'Code') ?? `status ${response.status}`, elementOf(xml, 'Message'));
    const held = readCredentials(xml);
    if ((held.expiresAtMs ?? 0) <= now()) throw new Error('the session has ended already; check the clocks');
    return held;
  } catch (error) {
    throw unavailable(role, error instanceof StsRefusal ? error.code : reasonOf(error), error);
  }
}

class StsRefusal extends Error {
  readonly code: string;
  constructor(code: string, words: string | undefined) {
    super(words ?? code);
    this.name = 'StsRefusal';
    this.code = code;
  }
}

/** @throws Error that names what is missing, and never a value. */
function readCredentials(xml: string): HeldCredentials {
  const required = (name: string): string => {
    const text = elementOf(xml, name);
    if (text === undefined) throw new Error(`the answer lacks ${name}`);
    return text;
  };
  const credentials = {
    accessKeyId: required('AccessKeyId'),
    secretAccessKey: required('SecretAccessKey'),
    sessionToken: required('SessionToken'),
  };
  const expiresAtMs = Date.parse(required('Expiration'));
  if (Number.isNaN(expiresAtMs)) throw new Error('Expiration is not a time');
  return { credentials, expiresAtMs };
}

/** The text of the first element of that name. STS's answers have no attributes, comments or sections of raw text. */
function elementOf(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1];
  return text?.trim().replace(/&(lt|gt|quot|apos|amp);/g, (_entity, which: string) => entities[which] ?? '');
}

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };
