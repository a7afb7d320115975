/** Rules for the lineage of the databases: which one was created empty, and what each other one is a copy of. */
import type { PlatformSpec } from './spec.ts';

/** Faults of generations and sources; a wrong one would leave an empty database where the data should be. */
export function findDatabaseFaults(spec: PlatformSpec): string[] {
  return [...generationFaults(spec), ...sourceFaults(spec)];
}

function generationFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  for (const [name, generation] of Object.entries(spec.databaseGeneration ?? {})) {
    const at = `databaseGeneration.${name}`;
    const region = spec.regions.find((candidate) => candidate.region === name);
    if (region === undefined) faults.push(`${at}: no such region in regions`);
    if (!Number.isInteger(generation) || generation < 1) {
      faults.push(`${at}: ${generation} must be a whole number of at least 1`);
    }
    if (region?.role === 'primary' && generation > 1 && spec.databaseSource?.[name] === undefined) {
      faults.push(
        `${at}: generation ${generation} of the primary needs databaseSource.${name}; without a source an empty database would take the place of the data`,
      );
    }
  }
  return faults;
}

function sourceFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  for (const [name, source] of Object.entries(spec.databaseSource ?? {})) {
    const at = `databaseSource.${name}`;
    const names = spec.regions.map((region) => region.region);
    if (!names.includes(name)) faults.push(`${at}: no such region in regions`);
    if (!names.includes(source.region)) faults.push(`${at}.region: "${source.region}" is not in regions`);
    if (source.region === name)
      faults.push(`${at}.region: a database cannot be a replica of its own region's database`);
    if (!Number.isInteger(source.generation) || source.generation < 1) {
      faults.push(`${at}.generation: ${source.generation} must be a whole number of at least 1`);
    }
    if (source.identifier !== undefined && !isInstanceIdentifier(source.identifier)) {
      faults.push(`${at}.identifier: "${source.identifier}" is not the identifier of a DB instance`);
    }
    const present = spec.databaseGeneration?.[source.region] ?? 1;
    if (source.generation > present) {
      faults.push(`${at}.generation: ${source.region} has no generation ${source.generation} yet, it is at ${present}`);
    }
  }
  return faults;
}

/** RDS: begins with a letter, ends with none of its hyphens, and has no two of them in a row. */
const isInstanceIdentifier = (name: string): boolean => /^(?=.{1,63}$)[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name);

/** Faults of a database that was brought along. Nothing is looked up, so they are faults of its names. */
export function ownDatabaseFaults(
  { region, network, database, databaseInstanceClass }: PlatformSpec['regions'][number],
  account: string,
  at: string,
): string[] {
  if (database === undefined) return [];
  const faults: string[] = [];
  const { identifier, securityGroupId, subnetGroupName, secretArn, secretKeyArn } = database;
  if (!isInstanceIdentifier(identifier)) {
    faults.push(
      `${at}.database.identifier: "${identifier}" is not the identifier of a DB instance; clusters (Aurora, Multi-AZ DB clusters) have no replicas across regions that could be promoted like one`,
    );
  }
  if (!/^sg-[0-9a-f]{8,17}$/.test(securityGroupId)) {
    faults.push(`${at}.database.securityGroupId: "${securityGroupId}" is not a security group id`);
  }
  if (!/^[a-z0-9][a-z0-9 ._-]{0,254}$/.test(subnetGroupName)) {
    faults.push(`${at}.database.subnetGroupName: "${subnetGroupName}" is not the name of a DB subnet group`);
  }
  const ofSecret = `arn:aws:secretsmanager:${region}:${account}:secret:`;
  if (!secretArn.startsWith(ofSecret) || !/-[A-Za-z0-9]{6}$/.test(secretArn)) {
    faults.push(
      `${at}.database.secretArn: "${secretArn}" must begin with ${ofSecret} and end with the six characters that AWS appends; gateways read the secret of their own region`,
    );
  }
  const ofKey = `arn:aws:kms:${region}:${account}:key/`;
  if (secretKeyArn !== undefined && !secretKeyArn.startsWith(ofKey)) {
    faults.push(`${at}.database.secretKeyArn: "${secretKeyArn}" must begin with ${ofKey}`);
  }
  if (network === undefined) {
    faults.push(`${at}.database: "${identifier}" stands in a network already; name it in ${at}.network`);
  }
  if (databaseInstanceClass !== undefined) {
    faults.push(`${at}.databaseInstanceClass: the database was brought along, its owner chose its class; leave it out`);
  }
  return faults;
}
