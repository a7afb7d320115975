/** Rules for the lineage of the databases: which one was created empty, and what each other one is a copy of. */
import type { PlatformSpec } from './platform.ts';

/** Faults of accounts, generations and sources; a wrong one would leave an empty database where the data should be. */
export function findDatabaseFaults(spec: PlatformSpec): string[] {
  return [...accountFaults(spec), ...generationFaults(spec), ...sourceFaults(spec)];
}

function accountFaults(spec: PlatformSpec): string[] {
  return spec.regions.flatMap((region, index) =>
    region.account === undefined || region.account === spec.account
      ? []
      : [
          `regions[${index}].account: "${region.account}" differs from account "${spec.account}"; RDS has no read replicas across accounts, so ${region.region} could not follow the primary`,
        ],
  );
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
    const present = spec.databaseGeneration?.[source.region] ?? 1;
    if (source.generation > present) {
      faults.push(`${at}.generation: ${source.region} has no generation ${source.generation} yet, it is at ${present}`);
    }
  }
  return faults;
}
