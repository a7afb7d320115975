/** Reads what runs and people have reported, from the machine that keeps it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Evidence, evidenceSchema } from '../lib/platform/evidence.ts';

/** Reports of drills and restores. @throws when one cannot be understood: a line must not be ticked, or open, by a typing error. */
export function readEvidence(directory: string): Evidence[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => evidenceSchema.parse(JSON.parse(readFileSync(join(directory, name), 'utf8'))));
}
