/** RDS: moto's, with what moto lacks of a promotion. CloudFormation's changes go through the same calls as anybody's. */
import type { Moto } from './moto.ts';
import { AwsRefusal, type Call, scopeHeader } from './query-protocol.ts';
import type { Change, Resolved } from './stack-update.ts';

/** One call that reached RDS. */
export interface RdsCall {
  readonly action: string;
  readonly region: string;
  readonly database: string;
  readonly from: 'CloudFormation' | 'client';
}

interface Reply {
  readonly status: number;
  readonly text: string;
}

const requestTimeoutMs = 15_000;

export class DatabaseService {
  readonly calls: RdsCall[] = [];
  readonly #moto: Moto;
  readonly #promotionMs: number;
  /** When each promoted database is ready, by region and identifier. */
  readonly #promoted = new Map<string, number>();
  readonly #failing = new Set<string>();
  readonly #lost = new Set<string>();

  constructor(moto: Moto, promotionMs: number) {
    this.#moto = moto;
    this.#promotionMs = promotionMs;
  }

  failNext(action: string): void {
    this.#failing.add(action);
  }

  lose(region: string): void {
    this.#lost.add(region);
  }

  /** A call from outside. */
  async forward({ action, fields, region, body }: Call): Promise<Reply> {
    const database = fields.get('DBInstanceIdentifier') ?? '';
    return this.#call(action, region, database, body, 'client');
  }

  /** Carries a change of a stack out. `onPromoted` is called as soon as there is no way back. */
  async apply(change: Exclude<Change, { is: 'refuse' }>, region: string, onPromoted: () => void): Promise<void> {
    const { resource } = change;
    const database = String(resource.Properties['DBInstanceIdentifier']);
    const act = (action: string, fields: Readonly<Record<string, string>>): Promise<Reply> =>
      this.#act(action, region, database, fields);
    switch (change.is) {
      case 'create': {
        const isReplica = 'SourceDBInstanceIdentifier' in resource.Properties;
        await act(isReplica ? 'CreateDBInstanceReadReplica' : 'CreateDBInstance', creation(resource));
        return;
      }
      case 'modify':
        await act('ModifyDBInstance', modification(resource));
        return;
      case 'promote': {
        const source = await this.#sourceRegion(region, database);
        // What is changed beside the source is changed first, and waits for replication to end.
        if (change.alsoChanged.length > 0 && source !== undefined && this.#lost.has(source)) {
          throw new AwsRefusal('NotStabilized', `${database} does not leave the state replicating`);
        }
        await act('PromoteReadReplica', kept(resource, ['BackupRetentionPeriod', 'PreferredBackupWindow']));
        onPromoted();
        await act('ModifyDBInstance', modification(resource));
        return;
      }
      case 'delete':
        // Retained: CloudFormation lets go of it, and it stays.
        return;
    }
  }

  async #sourceRegion(region: string, database: string): Promise<string | undefined> {
    const { text } = await this.#act('DescribeDBInstances', region, database, {});
    return /<ReadReplicaSourceDBInstanceIdentifier>arn:aws:rds:([\w-]+):/.exec(text)?.[1];
  }

  async #act(
    action: string,
    region: string,
    database: string,
    fields: Readonly<Record<string, string>>,
  ): Promise<Reply> {
    const form = { Action: action, Version: '2014-10-31', DBInstanceIdentifier: database, ...fields };
    const body = new URLSearchParams(form).toString();
    const reply = await this.#call(action, region, database, body, 'CloudFormation');
    if (reply.status >= 400) throw new AwsRefusal(tag(reply.text, 'Code'), tag(reply.text, 'Message'));
    return reply;
  }

  async #call(action: string, region: string, database: string, body: string, from: RdsCall['from']): Promise<Reply> {
    this.calls.push({ action, region, database, from });
    if (this.#failing.delete(action)) throw new AwsRefusal('InternalFailure', `${action} failed, as it was told to`);
    const key = `${region} ${database}`;
    if (action === 'PromoteReadReplica') {
      const { text } = await this.#send(region, 'rds', describe(database));
      const isReplica = text.includes('<ReadReplicaSourceDBInstanceIdentifier>') && !this.#promoted.has(key);
      if (!isReplica) {
        throw new AwsRefusal('InvalidDBInstanceState', `DB Instance ${database} is not a read replica`);
      }
    }
    const reply = await this.#send(region, 'rds', body);
    if (action === 'PromoteReadReplica' && reply.status === 200) {
      this.#promoted.set(key, Date.now() + this.#promotionMs);
    }
    return this.#promoted.has(key) ? { ...reply, text: this.#asPromoted(reply.text, key) } : reply;
  }

  /** moto goes on naming the source, and is never in between. */
  #asPromoted(text: string, key: string): string {
    const isReady = Date.now() >= (this.#promoted.get(key) ?? 0);
    return text
      .replace(/<ReadReplicaSourceDBInstanceIdentifier>[^<]*<\/ReadReplicaSourceDBInstanceIdentifier>/, '')
      .replace(/<DBInstanceStatus>available</, `<DBInstanceStatus>${isReady ? 'available' : 'modifying'}<`);
  }

  async #send(region: string, service: string, body: string): Promise<Reply> {
    const response = await fetch(`${this.#moto.url}/`, {
      method: 'POST',
      headers: {
        authorization: scopeHeader(region, service),
        'content-type': 'application/x-www-form-urlencoded',
        'x-moto-account-id': this.#moto.account,
      },
      body,
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    return { status: response.status, text: await response.text() };
  }
}

const describe = (database: string): string =>
  new URLSearchParams({
    Action: 'DescribeDBInstances',
    Version: '2014-10-31',
    DBInstanceIdentifier: database,
  }).toString();

const tag = (text: string, name: string): string => new RegExp(`<${name}>([^<]*)<`).exec(text)?.[1] ?? text;

/** Properties that moto takes and that stand in the template as they are; references to other resources do not. */
function kept({ Properties }: Resolved, names: readonly string[]): Record<string, string> {
  const literal = (value: unknown): value is string | number | boolean =>
    ['string', 'number', 'boolean'].includes(typeof value);
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = Properties[name];
      return literal(value) ? [[name, String(value)]] : [];
    }),
  );
}

const always = ['DBInstanceClass', 'MultiAZ', 'DeletionProtection', 'CopyTagsToSnapshot'];
const modification = (resource: Resolved): Record<string, string> =>
  kept(resource, [...always, 'BackupRetentionPeriod', 'MaxAllocatedStorage']);

const creation = (resource: Resolved): Record<string, string> => ({
  ...kept(resource, [
    ...always,
    'Engine',
    'EngineVersion',
    'AllocatedStorage',
    'MasterUsername',
    'DBName',
    'StorageEncrypted',
    'StorageType',
    'PubliclyAccessible',
    'SourceDBInstanceIdentifier',
    'SourceRegion',
    'BackupRetentionPeriod',
  ]),
  // The template has a reference to a secret here, which only AWS can follow.
  ...('MasterUsername' in resource.Properties && { MasterUserPassword: 'none-of-the-real-ones' }),
});
