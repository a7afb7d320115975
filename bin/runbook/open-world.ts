/** Opens what a book acts upon, from the variables of the operator's shell. */
import { readdir, readFile } from 'node:fs/promises';
import type { Platform } from '../../lib/platform/platform.ts';
import { awsRefusals, awsWorld } from '../../runbooks/aws/aws-world.ts';
import type { DrillHost } from '../../runbooks/aws/drill-conditions.ts';
import { oldVariable } from '../../runbooks/aws/lost-writes.ts';
import { RunError } from '../../runbooks/engine/run.ts';
import { callingLab, findLab, LabAway } from '../../runbooks/lab/lab-control.ts';
import { remoteServices } from '../../runbooks/lab/lab-verbs.ts';
import { labRefusals, operatorWays, operatorWorld } from '../../runbooks/lab/operator-world.ts';
import { labPlaceFile } from '../../runbooks/lab/running-lab.ts';
import { bucketsOf } from '../region/buckets.ts';
import { bookArchivedSpend } from './archived-spend.ts';
import { type OpenedWorld, UsageError, type WorldName, type WorldUse } from './host.ts';

/** @throws UsageError that names every variable that is missing. */
export async function openWorld(
  name: WorldName,
  platform: Platform,
  use: WorldUse = 'books',
  drills?: DrillHost,
): Promise<OpenedWorld> {
  if (name === 'lab') return openLab(labPlaceFile(process.env['HOLDFAST_LAB'] ?? '.holdfast'));
  const { claims, takeovers } = bucketsOf(platform);
  const key = process.env['HOLDFAST_KEY'] ?? process.env['LITELLM_MASTER_KEY'];
  const faults = use === 'looks' ? [] : missingVariables(platform, key);
  if (faults.length > 0) {
    throw new UsageError(`The AWS world needs:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
  const world = awsWorld({
    platform,
    claims,
    takeovers,
    key: key ?? '',
    ...(drills && { drills }),
    databaseUrl: (region) => process.env[databaseVariable(region)] ?? '',
    reingest: (region, signal) =>
      bookArchivedSpend(platform, region, process.env[databaseVariable(region)] ?? '', signal),
    oldDatabaseUrl: (region) => process.env[oldVariable(region)],
    prometheusUrl: (region) => {
      const url = process.env[prometheusVariable(region)] ?? process.env['HOLDFAST_PROMETHEUS_URL'];
      if (url !== undefined) return url;
      throw new Error(`HOLDFAST_PROMETHEUS_URL, or ${prometheusVariable(region)}: say where Prometheus answers`);
    },
    cacheUrl: (region) => {
      const url = process.env[cacheVariable(region)];
      if (url !== undefined) return url;
      throw new Error(`${cacheVariable(region)}: say how the cache of ${region} is reached from here, rediss://...`);
    },
    namesProfile: () => {
      const profile = process.env['HOLDFAST_NAMES_PROFILE'];
      if (profile !== undefined) return profile;
      throw new Error(`HOLDFAST_NAMES_PROFILE: name the AWS profile of ${platform.account}, which has the dns stack`);
    },
    manifestsOf: async (region) => {
      const names = (await readdir(`dist/k8s/${region}`)).filter((file) => file.endsWith('.yaml')).toSorted();
      return Promise.all(
        names.map(async (file) => ({ file, text: await readFile(`dist/k8s/${region}/${file}`, 'utf8') })),
      );
    },
    manifestOf: (region, file) => readFile(`dist/k8s/${region}/${file}`, 'utf8'),
    pgRestore: {
      command: 'pg_restore',
      environment: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', LC_ALL: 'C' },
    },
    templateOf: (stack) => readFile(`cdk.out/${stack}.template.json`, 'utf8'),
  });
  return {
    world,
    refusals: awsRefusals(platform),
    readiness: world.readiness,
    capacityInPeace: world.capacityInPeace,
    publishReadiness: world.publishReadiness,
    close: () => world.close(),
  };
}

/** @throws RunError when none runs. */
async function openLab(file: string): Promise<OpenedWorld> {
  const place = await findLab(file).catch((error: unknown) => {
    throw error instanceof LabAway ? new RunError(error.message) : error;
  });
  const ways = operatorWays(place.map);
  return {
    world: operatorWorld(ways, remoteServices(callingLab(file, place))),
    refusals: labRefusals,
    addresses: Object.entries(place.map.regions).map(([name, { address }]) => `${name}=${address}`),
    close: async () => ways.close(),
  };
}

const missingVariables = ({ regions }: Platform, key: string | undefined): string[] => [
  ...(key === undefined ? ["HOLDFAST_KEY: set an administrator's key, for the verification"] : []),
  ...regions.flatMap(({ region }) =>
    process.env[databaseVariable(region)] === undefined
      ? [`${databaseVariable(region)}: say how the database of ${region} is reached from here, postgresql://...`]
      : [],
  ),
];

const inVariable = (region: string): string => region.toUpperCase().replaceAll('-', '_');
const databaseVariable = (region: string): string => `HOLDFAST_DATABASE_URL_${inVariable(region)}`;
const cacheVariable = (region: string): string => `HOLDFAST_CACHE_URL_${inVariable(region)}`;
const prometheusVariable = (region: string): string => `HOLDFAST_PROMETHEUS_URL_${inVariable(region)}`;
