import type { Construct } from 'constructs';
import { database } from '../platform/names.ts';
import { versions } from '../platform/versions.ts';
import { DatabaseInstance, type DatabaseInstanceProps } from './database-instance.ts';
import type { DatabaseSecret } from './database-secret.ts';

export interface OriginDatabaseProps extends Omit<DatabaseInstanceProps, 'multiAz'> {
  readonly secret: DatabaseSecret;
}

/** The platform's first database, created empty. It is Multi-AZ: a zone can go without anyone being called. */
export class OriginDatabase extends DatabaseInstance {
  constructor(scope: Construct, id: string, props: OriginDatabaseProps) {
    super(scope, id, {
      ...props,
      multiAz: true,
      lineage: {
        engine: 'postgres',
        engineVersion: versions.postgres.full,
        allocatedStorage: String(props.tier.database.allocatedStorageGiB),
        storageEncrypted: true,
        dbName: database.name,
        masterUsername: props.secret.username,
        masterUserPassword: props.secret.password,
      },
    });
  }
}
