/** Where the settings of a process come from. Precedence, strongest first: command line, environment, file, default. */
import { type Explained, explainConfig, shownValue } from './config/explain.ts';
import { findConfig, sourceName } from './find-config.ts';
import { variableNames } from './settings/variables.ts';
import type { Settings } from './settings.ts';

/** A stronger variable, and those that count only without it. */
const stronger: readonly (readonly [strong: string, weak: readonly string[]])[] = [
  ['DATABASE_URL', ['POSTGRES_HOST', 'POSTGRES_PORT', 'POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB']],
  ['REDIS_URL', ['REDIS_HOST', 'REDIS_PORT']],
  ['CONFIG_S3_BUCKET', ['S3_BUCKET_NAME']],
  ['CONFIG_S3_REGION', ['AWS_REGION', 'AWS_DEFAULT_REGION']],
  ['CONFIG_S3_ENDPOINT_URL', ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL']],
  ['LLMROUTER_HA_LEASE_SECONDS', ['LLMROUTER_CONFIG_SYNC_LEASE_SECONDS']],
  ['LLMROUTER_HA_RENEW_INTERVAL_SECONDS', ['LLMROUTER_CONFIG_SYNC_RENEW_INTERVAL_SECONDS']],
  ['LLMROUTER_HA_LOCK_NAME', ['LLMROUTER_CONFIG_SYNC_LOCK_NAME']],
];

/** Names of the seeds' documents that stand for something that this gateway has not. */
const inert: Readonly<Record<string, string>> = {
  LLMROUTER_MODEL_S3_BUCKET: 'not used: there are no trained routers, and deployments come from the configuration',
  LLMROUTER_MODEL_S3_KEY: 'not used: there are no trained routers, and deployments come from the configuration',
};

/** @throws StartError when there is no configuration. */
export async function explainSettings(settings: Settings): Promise<Explained[]> {
  const { environment } = settings;
  const isSet = (name: string): boolean => (environment[name] ?? '') !== '';
  const variables = [...variableNames, 'REDIS_HOST', 'REDIS_PASSWORD', 'REDIS_USERNAME', 'REDIS_DB']
    .filter(isSet)
    .map((name) => {
      const over = stronger.find(([strong, weak]) => weak.includes(name) && isSet(strong))?.[0];
      return {
        setting: name,
        value: shownValue(name, environment[name]),
        from: over === undefined ? 'environment' : `environment, but ${over} goes before it`,
      };
    });
  const ignored = Object.entries(inert)
    .filter(([name]) => isSet(name))
    .map(([name, why]) => ({ setting: name, value: shownValue(name, environment[name]), from: why }));
  const found = await findConfig(settings);
  const hasDatabase = (settings.databaseUrl ?? found.config.databaseUrl) !== undefined;
  const mode = settings.ha.mode ?? (hasDatabase ? 'leader_election' : 'single');
  return [
    { setting: '(config source)', value: sourceName(found.source), from: sourceReason(settings) },
    { setting: '(config in use)', value: found.origin, from: found.problems.join('; ') || 'the source' },
    {
      setting: '(ha mode)',
      value: mode,
      from: settings.ha.mode !== undefined ? 'LLMROUTER_HA_MODE' : hasDatabase ? 'there is a database' : 'no database',
    },
    ...variables,
    ...ignored,
    ...explainConfig(found.text, found.origin, environment),
  ];
}

function sourceReason({ configSource, environment, configIsNamed }: Settings): string {
  if ((environment['CONFIG_SOURCE'] ?? '') !== '') return 'CONFIG_SOURCE';
  if (configSource.is === 's3') return 'CONFIG_S3_BUCKET';
  if (configSource.is === 'gcs') return 'CONFIG_GCS_BUCKET';
  return configIsNamed ? '--config or CONFIG_FILE_PATH' : 'default';
}
