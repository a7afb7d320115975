/**
 * What a gateway starts with. Its source comes first; when that is away or holds nothing that can be used, what was live
 * last: in the database, else on this disk. A start must not need what a running gateway can do without.
 */
import { type ConfigSource, FileSource, S3Source } from './cluster/config-source.ts';
import type { BuiltInConfig } from './config/built-in.ts';
import type { LoadedConfig } from './config/load.ts';
import { Patience } from './patience.ts';
import { loadText, readConfig } from './read-config.ts';
import { openS3 } from './region/s3-bucket.ts';
import type { Settings } from './settings.ts';
import { StartError } from './start-error.ts';
import { LastConfigFile } from './stores/last-config.ts';
import type { StoredModel } from './stores/model-definitions.ts';
import { readStoredConfig } from './stores/stored-config.ts';

export interface FoundConfig extends LoadedConfig {
  readonly text: string;
  /** Shown in faults. */
  readonly origin: string;
  readonly builtIn: BuiltInConfig | undefined;
  /** What is watched from now on; undefined = nothing but the database. */
  readonly source: ConfigSource | undefined;
  /** Deployments made over the API, as far as they are known, and the name of that state. */
  readonly models: readonly StoredModel[];
  readonly modelsState: string;
  /** Why it is not what the source says. */
  readonly problems: readonly string[];
}

/** A place that may have a configuration. */
interface Place {
  readonly name: string;
  /** @returns undefined when there is none. */
  find(): Promise<InPlace | undefined>;
}

type InPlace = Omit<FoundConfig, 'source' | 'problems'>;

interface Places {
  readonly here: readonly Place[];
  readonly elsewhere: readonly Place[];
  /** What was live last; undefined where that could be another configuration's. */
  readonly disk: Place | undefined;
  /** When nothing else has anything. */
  readonly otherwise: readonly Place[];
}

/** Never rejects. */
const outcomeOf = (finding: Promise<InPlace | undefined>) =>
  finding.then(
    (found) => ({ found }),
    (error: unknown) => ({ error }),
  );

const sourceTimeoutMs = 2_500;

/**
 * @param patience is had with what is elsewhere when the disk has what was live last; without that it is waited for until
 * its time-out.
 * @throws StartError when no place has a configuration that can be used.
 */
export async function findConfig(settings: Settings, patience = new Patience(sourceTimeoutMs)): Promise<FoundConfig> {
  const source = openConfigSource(settings);
  const { here, elsewhere, disk, otherwise } = placesOf(settings, source);
  const problems: string[] = [];
  let first: unknown;
  const failed = (place: Place, error: unknown): undefined => {
    first ??= error;
    problems.push(`${place.name}: ${error instanceof Error ? error.message : String(error)}`);
  };
  const look = (place: Place) => place.find().catch((error: unknown) => failed(place, error));
  for (const place of here) {
    const found = await look(place);
    if (found !== undefined) return { ...found, source, problems };
  }
  // All at once: each may be away and say nothing.
  const asked = elsewhere.map((place) => ({ place, outcome: outcomeOf(place.find()) }));
  const silent: typeof asked = [];
  for (const one of asked) {
    const outcome = disk === undefined ? await one.outcome : (await patience.wait(one.outcome))?.is;
    if (outcome === undefined) silent.push(one);
    else if ('error' in outcome) failed(one.place, outcome.error);
    else if (outcome.found !== undefined) return { ...outcome.found, source, problems };
  }
  const last = disk && (await look(disk));
  if (last !== undefined) {
    return { ...last, source, problems: [...problems, ...silent.map(({ place }) => `${place.name}: is silent`)] };
  }
  for (const { place, outcome } of silent) {
    const late = await outcome;
    if ('error' in late) failed(place, late.error);
    else if (late.found !== undefined) return { ...late.found, source, problems };
  }
  for (const place of otherwise) {
    const found = await look(place);
    if (found !== undefined) return { ...found, source, problems };
  }
  if (problems.length <= 1 && first instanceof Error) {
    throw first instanceof StartError ? first : new StartError(problems.join(), 1, first);
  }
  throw new StartError(`There is no configuration to start with.\n  ${problems.join('\n  ')}`, 2, first);
}

/** @returns undefined when configurations come from administrators alone. */
export function openConfigSource(settings: Settings): ConfigSource | undefined {
  const { configSource } = settings;
  if (configSource.is === 'database') return undefined;
  if (configSource.is === 'file') return new FileSource(settings.configPath, !settings.configIsNamed);
  const { bucket, key, region, endpoint, credentials } = configSource;
  const client = openS3({
    region,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
  });
  return new S3Source(client, bucket, key, configSource.is === 'gcs' ? 'gs' : 's3');
}

export const sourceName = (source: ConfigSource | undefined): string => source?.name ?? 'database';

function placesOf(settings: Settings, source: ConfigSource | undefined): Places {
  const file: Place = { name: settings.configPath, find: () => inFile(settings) };
  const { databaseUrl } = settings;
  const database: readonly Place[] =
    databaseUrl === undefined || settings.ha.mode === 'single'
      ? []
      : [{ name: 'the database', find: () => inDatabase(settings, databaseUrl) }];
  const disk: Place = { name: settings.dataDirectory, find: () => onDisk(settings, sourceName(source)) };
  switch (settings.configSource.is) {
    case 'file':
      // Not what another file of the same folder left on disk.
      return { here: [file], elsewhere: database, disk: undefined, otherwise: [] };
    case 'database':
      return { here: [], elsewhere: database, disk, otherwise: [file] };
    case 's3':
    case 'gcs':
      return {
        here: [],
        elsewhere: [
          ...(source === undefined ? [] : [{ name: source.name, find: () => inSource(settings, source) }]),
          ...database,
        ],
        disk,
        otherwise: [file],
      };
  }
}

async function inFile(settings: Settings) {
  const read = await readConfig(settings);
  return { ...read, origin: settings.configPath, models: [], modelsState: '' };
}

async function inSource(settings: Settings, source: ConfigSource) {
  const found = await source.read(undefined, AbortSignal.timeout(sourceTimeoutMs));
  if (found === undefined) return undefined;
  const { text } = found;
  return { ...(await loadText(text, source.name, settings)), ...inText(text, source.name) };
}

async function inDatabase(settings: Settings, url: string) {
  const stored = await readStoredConfig(url, settings.saltKey);
  if (stored === undefined) return undefined;
  const { text, models, modelsState } = stored;
  const origin = 'the newest config version of the database';
  return { ...(await loadText(text, origin, settings, models)), ...inText(text, origin), models, modelsState };
}

async function onDisk(settings: Settings, of: string) {
  const last = await new LastConfigFile(settings.dataDirectory, settings.saltKey).load(of);
  if (last === undefined) return undefined;
  const { text, models, additions: modelsState } = last;
  const origin = `the last configuration of ${of}`;
  return { ...(await loadText(text, origin, settings, models)), ...inText(text, origin), models, modelsState };
}

const inText = (text: string, origin: string) => ({
  text,
  origin,
  builtIn: undefined,
  models: [],
  modelsState: '',
});
