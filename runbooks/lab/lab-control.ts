/** The lab that keeps running, and how other commands of the same person reach it: HTTP on loopback, with a word that only his files have. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import { z } from 'zod';
import { hasCode } from './error-code.ts';
import { regionNamed, regionNames } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

export const labActions = ['status', 'kill', 'partition', 'heal', 'down'] as const;
export type LabAction = (typeof labActions)[number];

const placeSchema = z.object({ url: z.url(), word: z.string().min(32) });
type Place = z.output<typeof placeSchema>;

export interface LabControl {
  /** Resolves when somebody has asked for the end. */
  readonly asked: Promise<void>;
  close(): Promise<void>;
}

/** @param file where other commands find the lab; gone again after `close`. */
export async function openLabControl(lab: TwoRegions, file: string): Promise<LabControl> {
  const word = randomBytes(24).toString('hex');
  let end: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    end = resolve;
  });
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://lab');
    const finish = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    const action = labActions.find((one) => pathname === `/${one}`);
    if (!isWord(request.headers['x-lab-word'], word)) return finish(401, { error: 'this is not your lab' });
    if (action === undefined) return finish(404, { error: `the lab cannot do ${pathname.slice(1)}` });
    perform(lab, action, searchParams.get('region')).then(
      (body) => {
        finish(200, body);
        if (action === 'down') end();
      },
      (error: unknown) => finish(400, { error: error instanceof Error ? error.message : String(error) }),
    );
  });
  const port = await listening(server);
  await mkdir(dirname(file), { recursive: true });
  const place: Place = { url: `http://127.0.0.1:${port}`, word };
  await writeFile(file, JSON.stringify(place), { mode: 0o600 });
  return {
    asked,
    close: async () => {
      await rm(file, { force: true });
      server.close();
      server.closeAllConnections();
    },
  };
}

/** @throws LabAway when no lab runs, Error with what it has answered when it refuses. */
export async function askLab(file: string, action: LabAction, region?: string): Promise<unknown> {
  let place: Place;
  try {
    place = placeSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new LabAway(`No lab runs here (${file} is not there): npx holdfast lab up`);
    throw error;
  }
  const url = new URL(`/${action}${region === undefined ? '' : `?region=${encodeURIComponent(region)}`}`, place.url);
  let response: Response;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: { 'x-lab-word': place.word },
      signal: AbortSignal.timeout(60_000),
    });
  } catch (error) {
    throw new LabAway(`The lab of ${file} does not answer: npx holdfast lab up`, { cause: error });
  }
  const body: unknown = await response.json();
  if (!response.ok) throw new Error(`The lab refused: ${JSON.stringify(body)}`);
  return body;
}

export class LabAway extends Error {}

async function perform(lab: TwoRegions, action: LabAction, region: string | null): Promise<object> {
  if (action === 'partition') await lab.partition();
  else if (action === 'heal') await heal(lab);
  else if (action === 'kill') await lab.region(regionNamed(region ?? '')).kill();
  else if (action === 'status') return lab.status();
  return { is: action, ...(region === null ? {} : { region }) };
}

/** Links first; then what was killed starts again, on its own folders. */
async function heal(lab: TwoRegions): Promise<void> {
  await lab.heal();
  for (const name of regionNames) await lab.region(name).restart();
}

const isWord = (given: string | string[] | undefined, word: string): boolean =>
  typeof given === 'string' && given.length === word.length && timingSafeEqual(Buffer.from(given), Buffer.from(word));

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the lab has no port');
  return address.port;
}
