import { RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { database } from '../platform/names.ts';
import { acknowledge } from './acknowledge.ts';

export interface DatabaseSecretProps {
  readonly name: string;
  readonly encryptionKey: kms.IKey;
  /** Regions that hold a copy, so that a standby can log in after its promotion when the origin's region is gone. */
  readonly replicaRegions: readonly string[];
}

/** User and generated password of the database, readable in each region under the same name. */
export class DatabaseSecret extends Construct {
  readonly username = database.user;
  readonly secret: secretsmanager.Secret;

  constructor(scope: Construct, id: string, props: DatabaseSecretProps) {
    super(scope, id);
    this.secret = new secretsmanager.Secret(this, 'Secret', {
      secretName: props.name,
      description: 'Database user; the copies in the standby regions follow this one',
      encryptionKey: props.encryptionKey,
      generateSecretString: {
        secretStringTemplate: JSON.stringify({ username: this.username }),
        generateStringKey: 'password',
        passwordLength: 40,
        excludePunctuation: true,
      },
      replicaRegions: props.replicaRegions.map((region) => ({ region })),
      removalPolicy: RemovalPolicy.RETAIN,
    });
    acknowledge(
      this.secret,
      'AwsSolutions-SMG4',
      'A rotation Lambda would act in one region while another may be promoted. A schedule calls for the runbook, which gives each region logins of its own, two that take turns.',
    );
  }

  /** A reference that CloudFormation resolves at deployment; the password is in no template. */
  get password(): string {
    return this.secret.secretValueFromJson('password').unsafeUnwrap();
  }
}
