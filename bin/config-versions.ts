/** `holdfast config history|diff|rollback|push`: the configurations of a running gateway. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { AskFailed, ask, type Gateway } from './ask-gateway.ts';
import { fail, say } from './say.ts';

const version = z.object({
  version: z.number(),
  sha256: z.string(),
  source: z.string(),
  created_by: z.string(),
  created_at: z.string(),
});
const history = z.object({ versions: z.array(version) });
const difference = z.object({ diff: z.array(z.string()) });

export const showHistory = (gateway: Gateway, limit: number): Promise<number> =>
  answering(async () => {
    const { versions } = history.parse(await ask(gateway, `/config/history?limit=${limit}`));
    for (const one of versions) say(lineOf(one));
    if (versions.length === 0) say('There is no configuration in the database yet.');
  });

export const showDiff = (gateway: Gateway, from: string, to: string): Promise<number> =>
  answering(async () => {
    const query = new URLSearchParams({ from, to });
    const { diff } = difference.parse(await ask(gateway, `/config/diff?${query.toString()}`));
    for (const line of diff) say(line);
    if (diff.length === 0) say(`Versions ${from} and ${to} have the same text.`);
  });

export const rollBack = (gateway: Gateway, to: string): Promise<number> =>
  answering(async () => {
    const made = version.parse(await ask(gateway, '/config/rollback', JSON.stringify({ version: to })));
    say(
      `Version ${made.version} (${made.source}) is live in every process within seconds. It stays until the source changes.`,
    );
  });

export const push = (gateway: Gateway, file: string): Promise<number> =>
  answering(async () => {
    const made = version.parse(await ask(gateway, '/config/push', await readFile(file, 'utf8')));
    say(`Version ${made.version} is live in every process within seconds. It stays until the source changes.`);
  });

const lineOf = (one: z.output<typeof version>): string =>
  `${String(one.version).padStart(5)}  ${one.created_at}  ${one.sha256.slice(0, 12)}  ${one.source}  by ${one.created_by}`;

async function answering(work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return 0;
  } catch (error) {
    if (error instanceof AskFailed) return fail(error.message, 1);
    if (error instanceof Error && 'code' in error) return fail(error.message, 2);
    throw error;
  }
}
