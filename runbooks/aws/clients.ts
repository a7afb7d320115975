/** AWS's own clients, made here alone: each call is bounded, and throttling is waited out instead of ending a recovery. */
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EKSClient } from '@aws-sdk/client-eks';
import { RDSClient } from '@aws-sdk/client-rds';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

export interface AwsAccess {
  /** Another server that speaks AWS's protocols, for tests. */
  readonly endpoint?: string;
  /** Undefined = the environment's, or the role's. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** Eight tries with AWS's own pauses: throttling of a control plane in an outage lasts for a minute or so. */
const maxAttempts = 8;
const requestHandler = { connectionTimeout: 2_000, requestTimeout: 15_000, throwOnRequestTimeout: true } as const;

export class AwsClients {
  readonly #access: AwsAccess;
  readonly #made = new Map<string, { destroy(): void }>();

  constructor(access: AwsAccess = {}) {
    this.#access = access;
  }

  rds(region: string): RDSClient {
    return this.#once('rds', region, (options) => new RDSClient(options));
  }

  cloudFormation(region: string): CloudFormationClient {
    return this.#once('cloudformation', region, (options) => new CloudFormationClient(options));
  }

  cloudWatch(region: string): CloudWatchClient {
    return this.#once('cloudwatch', region, (options) => new CloudWatchClient(options));
  }

  eks(region: string): EKSClient {
    return this.#once('eks', region, (options) => new EKSClient(options));
  }

  secretsManager(region: string): SecretsManagerClient {
    return this.#once('secretsmanager', region, (options) => new SecretsManagerClient(options));
  }

  s3(region: string): S3Client {
    return this.#once('s3', region, (options) => new S3Client({ ...options, forcePathStyle: this.#isElsewhere }));
  }

  destroy(): void {
    for (const client of this.#made.values()) client.destroy();
    this.#made.clear();
  }

  get #isElsewhere(): boolean {
    return this.#access.endpoint !== undefined;
  }

  #once<Client extends { destroy(): void }>(
    service: string,
    region: string,
    make: (options: ClientOptions) => Client,
  ): Client {
    const key = `${service} ${region}`;
    const known = this.#made.get(key);
    // Made by this very function for this key, so it is of this kind.
    if (known !== undefined) return known as Client; // oxlint-disable-line typescript/no-unsafe-type-assertion
    const { endpoint, credentials } = this.#access;
    const client = make({
      region,
      maxAttempts,
      retryMode: 'standard',
      requestHandler,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials === undefined ? {} : { credentials }),
    });
    this.#made.set(key, client);
    return client;
  }
}

interface ClientOptions {
  readonly region: string;
  readonly maxAttempts: number;
  readonly retryMode: 'standard';
  readonly requestHandler: typeof requestHandler;
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** By the name that AWS's models give the error. */
export const isNamed = (error: unknown, ...names: readonly string[]): boolean =>
  error instanceof Error && names.includes(error.name);

/** 1 to 64 of a-z, A-Z, 0-9 and hyphen, beginning with a letter: what CloudFormation takes as a token. */
export const clientToken = (token: string): string =>
  `t-${token.replaceAll(/[^a-zA-Z0-9]+/g, '-')}`.slice(0, 64).replace(/-+$/, '');
