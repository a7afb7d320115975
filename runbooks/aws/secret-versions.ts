/** Versions of a secret in Secrets Manager. Their names pass through journals, their contents never do. */
import {
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';
import { type AwsClients, isNamed } from './clients.ts';

export type Members = Readonly<Record<string, string>>;

/** Ids of the versions that AWS tells apart. */
export interface Stages {
  readonly current: string;
  readonly pending: string | undefined;
  readonly previous: string | undefined;
}

const membersSchema = z.record(z.string(), z.string());

/** AWS asks for 32 characters or more; hyphens at the end are no part of the name. */
export const idOf = (version: string): string => version.padEnd(32, '-');
export const nameOf = (id: string): string => id.replace(/-+$/, '');

export class SecretVersions {
  readonly #clients: AwsClients;
  readonly #region: string;
  readonly #secret: string;

  constructor(clients: AwsClients, region: string, secret: string) {
    this.#clients = clients;
    this.#region = region;
    this.#secret = secret;
  }

  async stages(abortSignal: AbortSignal): Promise<Stages> {
    const { VersionIdsToStages: versions = {} } = await this.#client.send(
      new DescribeSecretCommand({ SecretId: this.#secret }),
      { abortSignal },
    );
    const withStage = (stage: string): string | undefined =>
      Object.entries(versions).find(([, stages]) => stages.includes(stage))?.[0];
    const current = withStage('AWSCURRENT');
    if (current === undefined) throw new Error(`${this.#secret} in ${this.#region} is empty`);
    const pending = withStage('AWSPENDING');
    return { current, pending: pending === current ? undefined : pending, previous: withStage('AWSPREVIOUS') };
  }

  /** @returns undefined when AWS has forgotten the version, or never knew it. */
  async read(id: string, abortSignal: AbortSignal): Promise<Members | undefined> {
    try {
      const { SecretString: text } = await this.#client.send(
        new GetSecretValueCommand({ SecretId: this.#secret, VersionId: id }),
        { abortSignal },
      );
      return text === undefined ? undefined : membersSchema.parse(JSON.parse(text));
    } catch (error) {
      if (isNamed(error, 'ResourceNotFoundException')) return undefined;
      // What it holds must not be told by the reader of it.
      throw error instanceof z.ZodError || error instanceof SyntaxError
        ? new Error(`${this.#secret} in ${this.#region} is no JSON object of texts`)
        : error;
    }
  }

  /** @param stage `AWSCURRENT` hands it out at once. The same id again changes nothing. */
  async put(id: string, members: Members, stage: 'AWSPENDING' | 'AWSCURRENT', abortSignal: AbortSignal): Promise<void> {
    try {
      await this.#client.send(
        new PutSecretValueCommand({
          SecretId: this.#secret,
          SecretString: JSON.stringify(members),
          VersionStages: [stage],
          ClientRequestToken: id,
        }),
        { abortSignal },
      );
    } catch (error) {
      if (!isNamed(error, 'ResourceExistsException')) throw error;
    }
  }

  /** For a secret that is one text and no JSON; handed out at once. */
  async putText(text: string, abortSignal: AbortSignal): Promise<void> {
    await this.#client.send(new PutSecretValueCommand({ SecretId: this.#secret, SecretString: text }), { abortSignal });
  }

  /** Hands a version out from now on. */
  async handOut(id: string, abortSignal: AbortSignal): Promise<void> {
    const { current, pending } = await this.stages(abortSignal);
    if (current !== id) await this.#move('AWSCURRENT', abortSignal, current, id);
    if (pending === id) await this.#move('AWSPENDING', abortSignal, id);
  }

  /** A version that was never handed out is not pending any more. */
  async discard(id: string, abortSignal: AbortSignal): Promise<void> {
    const { pending } = await this.stages(abortSignal);
    if (pending === id) await this.#move('AWSPENDING', abortSignal, id);
  }

  get #client() {
    return this.#clients.secretsManager(this.#region);
  }

  async #move(VersionStage: string, abortSignal: AbortSignal, from: string, to?: string): Promise<void> {
    await this.#client.send(
      new UpdateSecretVersionStageCommand({
        SecretId: this.#secret,
        VersionStage,
        RemoveFromVersionId: from,
        ...(to === undefined ? {} : { MoveToVersionId: to }),
      }),
      { abortSignal },
    );
  }
}
