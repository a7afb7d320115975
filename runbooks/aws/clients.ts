/** AWS's own clients, made here alone: each call is bounded, and throttling is waited out instead of ending a recovery. */
import { createHash } from 'node:crypto';
import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EKSClient } from '@aws-sdk/client-eks';
import { ElastiCacheClient } from '@aws-sdk/client-elasticache';
import { RDSClient } from '@aws-sdk/client-rds';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { type SignedCall, sendSigned } from './signed-call.ts';

export interface AwsAccess {
  /** Another server that speaks AWS's protocols, for tests. */
  readonly endpoint?: string;
  /** Undefined = the environment's, or the role's. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Profile of AWS's own configuration files, for an account other than the environment's. */
  readonly profile?: string;
}

/** Eight tries with AWS's own pauses: throttling of a control plane in an outage lasts for a minute or so. */
const maxAttempts = 8;
const requestHandler = { connectionTimeout: 2_000, requestTimeout: 15_000, throwOnRequestTimeout: true } as const;

/** A service's client of each region, made when it is first asked for. */
type OfRegion<Client> = (region: string) => Client;

export class AwsClients {
  readonly rds: OfRegion<RDSClient>;
  readonly cloudFormation: OfRegion<CloudFormationClient>;
  readonly cloudWatch: OfRegion<CloudWatchClient>;
  readonly eks: OfRegion<EKSClient>;
  readonly elastiCache: OfRegion<ElastiCacheClient>;
  readonly secretsManager: OfRegion<SecretsManagerClient>;
  readonly s3: OfRegion<S3Client>;
  readonly #access: AwsAccess;
  readonly #made: { destroy(): void }[] = [];

  constructor(access: AwsAccess = {}) {
    this.#access = access;
    const isElsewhere = access.endpoint !== undefined;
    this.rds = this.#each((options) => new RDSClient(options));
    this.cloudFormation = this.#each((options) => new CloudFormationClient(options));
    this.cloudWatch = this.#each((options) => new CloudWatchClient(options));
    this.eks = this.#each((options) => new EKSClient(options));
    this.elastiCache = this.#each((options) => new ElastiCacheClient(options));
    this.secretsManager = this.#each((options) => new SecretsManagerClient(options));
    this.s3 = this.#each((options) => new S3Client({ ...options, forcePathStyle: isElsewhere }));
  }

  /** A call of a service whose client is not among these. @throws AwsCallError */
  async call(region: string, call: SignedCall, signal: AbortSignal): Promise<string> {
    const { endpoint, credentials } = this.#access;
    const { config } = this.s3(region);
    return sendSigned(call, {
      region,
      endpoint: endpoint ?? `https://${call.host ?? call.service}.${region}.amazonaws.com`,
      // The way in which AWS's own clients find theirs.
      credentials: credentials ?? (await config.credentials()),
      sha256: config.sha256,
      maxAttempts,
      timeoutMs: requestHandler.requestTimeout,
      signal,
    });
  }

  destroy(): void {
    for (const client of this.#made) client.destroy();
  }

  #each<Client extends { destroy(): void }>(make: (options: ClientOptions) => Client): OfRegion<Client> {
    const known = new Map<string, Client>();
    return (region) => {
      const { endpoint, credentials, profile } = this.#access;
      const client =
        known.get(region) ??
        make({
          region,
          maxAttempts,
          retryMode: 'standard',
          requestHandler,
          ...(endpoint === undefined ? {} : { endpoint }),
          ...(credentials === undefined ? {} : { credentials }),
          ...(profile === undefined ? {} : { profile }),
        });
      if (!known.has(region)) this.#made.push(client);
      known.set(region, client);
      return client;
    };
  }
}

interface ClientOptions {
  readonly region: string;
  readonly maxAttempts: number;
  readonly retryMode: 'standard';
  readonly requestHandler: typeof requestHandler;
  readonly endpoint?: string;
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly profile?: string;
}

/** By the name that AWS's models give the error. */
export const isNamed = (error: unknown, ...names: readonly string[]): boolean =>
  error instanceof Error && names.includes(error.name);

/**
 * 1 to 64 of a-z, A-Z, 0-9 and hyphen, beginning with a letter: what CloudFormation takes as a token. A longer one ends in its
 * digest: cut off, tokens of one step would be the same.
 */
export function clientToken(token: string): string {
  const named = `t-${token.replaceAll(/[^a-zA-Z0-9]+/g, '-')}`.replace(/-+$/, '');
  if (named.length <= 64) return named;
  return `${named.slice(0, 47)}-${createHash('sha256').update(token).digest('hex').slice(0, 16)}`;
}
