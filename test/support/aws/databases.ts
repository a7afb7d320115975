/** RDS: moto's, with what moto lacks of a promotion. CloudFormation's changes go through the same calls as anybody's. */
import { restoredTag } from '../../../runbooks/aws/restored-tag.ts';
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

/** Where a real PostgreSQL answers for the instances of moto, behind which none stands. */
export interface DatabaseAddress {
  readonly host: string;
  readonly port: number;
}

const requestTimeoutMs = 15_000;

export class DatabaseService {
  readonly calls: RdsCall[] = [];
  readonly #moto: Moto;
  readonly #promotionMs: number;
  readonly #address: DatabaseAddress | undefined;
  /** When each promoted database is ready, by region and identifier. */
  readonly #promoted = new Map<string, number>();
  /** Calls of an action that pass before one fails. */
  readonly #failing = new Map<string, number>();
  readonly #lost = new Set<string>();

  constructor(moto: Moto, promotionMs: number, address: DatabaseAddress | undefined) {
    this.#moto = moto;
    this.#promotionMs = promotionMs;
    this.#address = address;
  }

  failNext(action: string, after = 0): void {
    this.#failing.set(action, after);
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
    const reply = await this.#call(action, region, database, form(action, database, fields), 'CloudFormation');
    if (reply.status >= 400) throw new AwsRefusal(tag(reply.text, 'Code'), tag(reply.text, 'Message'));
    return reply;
  }

  async #call(action: string, region: string, database: string, body: string, from: RdsCall['from']): Promise<Reply> {
    this.calls.push({ action, region, database, from });
    this.#failIfTold(action);
    const key = `${region} ${database}`;
    if (action === 'PromoteReadReplica') {
      const { text } = await this.#send(region, 'rds', form('DescribeDBInstances', database));
      const isReplica = text.includes('<ReadReplicaSourceDBInstanceIdentifier>') && !this.#promoted.has(key);
      if (!isReplica) {
        throw new AwsRefusal('InvalidDBInstanceState', `DB Instance ${database} is not a read replica`);
      }
    }
    const reply = await this.#send(region, 'rds', body);
    if (action === 'PromoteReadReplica' && reply.status === 200) {
      this.#promoted.set(key, Date.now() + this.#promotionMs);
    }
    if (action.startsWith('RestoreDBInstance') && reply.status === 200) await this.#unprotect(region, body);
    const text = this.#promoted.has(key) ? this.#asPromoted(reply.text, key) : reply.text;
    return { ...reply, text: this.#atAddress(restoredAlone(text)) };
  }

  /** moto copies the protection of what it restores from; RDS leaves it out. */
  async #unprotect(region: string, body: string): Promise<void> {
    const asked = new URLSearchParams(body);
    const database = asked.get('TargetDBInstanceIdentifier') ?? asked.get('DBInstanceIdentifier') ?? '';
    await this.#send(region, 'rds', form('ModifyDBInstance', database, { DeletionProtection: 'false' }));
  }

  #failIfTold(action: string): void {
    const after = this.#failing.get(action);
    if (after === undefined) return;
    if (after > 0) {
      this.#failing.set(action, after - 1);
      return;
    }
    this.#failing.delete(action);
    throw new AwsRefusal('InternalFailure', `${action} failed, as it was told to`);
  }

  #atAddress(text: string): string {
    if (this.#address === undefined) return text;
    const { host, port } = this.#address;
    return text
      .replaceAll(/(<Endpoint>.*?<Address>)[^<]*(<\/Address>)/gs, `$1${host}$2`)
      .replaceAll(/(<Endpoint>.*?<Port>)[^<]*(<\/Port>)/gs, `$1${port}$2`);
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

const form = (action: string, database: string, fields: Readonly<Record<string, string>> = {}): string =>
  new URLSearchParams({
    Action: action,
    Version: '2014-10-31',
    DBInstanceIdentifier: database,
    ...fields,
  }).toString();

/** moto calls what was restored to a point in time a replica of what it was restored from. */
const restoredAlone = (text: string): string =>
  text.replaceAll(/<DBInstance>.*?<\/DBInstance>/gs, (instance) =>
    instance.includes(restoredTag)
      ? instance.replace(/<ReadReplicaSourceDBInstanceIdentifier>[^<]*<\/ReadReplicaSourceDBInstanceIdentifier>/, '')
      : instance,
  );

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
