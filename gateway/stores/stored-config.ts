/** The newest configuration in the database, for a process that has nothing else to start with. */
import { ConfigVersions } from './config-versions.ts';
import { ModelDefinitions, type StoredModel } from './model-definitions.ts';
import { openPool } from './postgres.ts';

export interface StoredConfig {
  readonly text: string;
  readonly models: readonly StoredModel[];
  /** Of the models, as `ModelDefinitions` names it. */
  readonly modelsState: string;
}

/** @returns undefined when there is none. @throws when the database cannot be asked, or the text cannot be opened. */
export async function readStoredConfig(url: string, saltKey: string | undefined): Promise<StoredConfig | undefined> {
  const pool = openPool({ url, poolSize: 1, onError: () => undefined });
  try {
    const versions = new ConfigVersions(pool, saltKey);
    const newest = await versions.newest();
    const text = newest === undefined ? undefined : await versions.textOf(newest.version);
    if (text === undefined) return undefined;
    const models = new ModelDefinitions(pool);
    const modelsState = await models.state();
    return { text, models: await models.all(), modelsState };
  } finally {
    await pool.end();
  }
}
