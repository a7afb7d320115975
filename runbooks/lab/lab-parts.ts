/** Programs that a lab uses when the machine has them, or can fetch them. */
import { LauncherError } from './launcher-error.ts';
import { findNginx, type NginxCommand } from './nginx-binaries.ts';
import { findRedis, type RedisBinaries } from './redis-binaries.ts';

export interface LabParts {
  readonly redis?: RedisBinaries;
  readonly nginx?: NginxCommand;
}

export interface FoundParts {
  readonly parts: LabParts;
  /** One sentence for each that is left out: what, and what brings it. */
  readonly missing: readonly string[];
}

/** @throws LauncherError only when the machine has apt and it was called off. */
export async function findLabParts(signal?: AbortSignal): Promise<FoundParts> {
  const missing: string[] = [];
  const found = async <Part>(search: Promise<Part>): Promise<Part | undefined> => {
    try {
      return await search;
    } catch (error) {
      if (!(error instanceof LauncherError) || error.code !== 'BinariesMissing') throw error;
      missing.push(error.message);
      return undefined;
    }
  };
  const [redis, nginx] = await Promise.all([found(findRedis({ signal })), found(findNginx({ signal }))]);
  return {
    parts: { ...(redis === undefined ? {} : { redis }), ...(nginx === undefined ? {} : { nginx }) },
    missing,
  };
}
