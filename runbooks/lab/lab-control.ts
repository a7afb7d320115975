/** The lab that keeps running, and how other commands of the same person reach it: HTTP on loopback, with a word that only his files have. */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { dirname } from 'node:path';
import { z } from 'zod';
import { hasCode, messageOf } from './error-code.ts';
import { type CallLab, isLabVerb, type LabServices, performVerb, printedAnswer } from './lab-verbs.ts';
import { type LabMap, labMapSchema } from './operator-world.ts';
import { regionNamed, regionNames, requireZone } from './region-name.ts';
import type { TwoRegions } from './two-regions.ts';

export const labActions = ['status', 'kill', 'partition', 'heal', 'backup', 'down'] as const;
export type LabAction = (typeof labActions)[number];

/** What an action is about; the whole lab when nothing is named. */
export interface LabTarget {
  readonly region?: string;
  readonly zone?: string;
}

const placeSchema = z.object({ url: z.url(), word: z.string().min(32), map: labMapSchema });
/** Where a lab is, as its file says. */
export type LabPlace = z.output<typeof placeSchema>;

export interface LabControl {
  /** Resolves when somebody has asked for the end. */
  readonly asked: Promise<void>;
  close(): Promise<void>;
}

export interface ControlledLab {
  readonly lab: TwoRegions;
  readonly services: LabServices;
  readonly takeBackups: (signal: AbortSignal) => Promise<void>;
  /** How the clients fare, for people. */
  readonly clients: () => object;
  readonly map: LabMap;
}

const patienceMs = 120_000;
/** Of a question. */
const mostBytes = 64 * 1024;

/** @param file where other commands find the lab; gone again after `close`. */
export async function openLabControl(controlled: ControlledLab, file: string): Promise<LabControl> {
  const word = randomBytes(24).toString('hex');
  let end: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    end = resolve;
  });
  const server = createServer((request, response) => {
    const finish = (status: number, text: string): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(text);
    };
    if (!isWord(request.headers['x-lab-word'], word)) return finish(401, '{"error":"this is not your lab"}');
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('whoever asked has gone')));
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(patienceMs)]);
    const [name = '', query = ''] = (request.url ?? '').slice(1).split('?');
    const action = labActions.find((one) => one === name);
    const work = async (): Promise<string> => {
      if (action !== undefined)
        return JSON.stringify(await perform(controlled, action, new URLSearchParams(query), signal));
      if (!isLabVerb(name)) throw new Error(`the lab cannot do ${name}`);
      return printedAnswer(await performVerb(controlled.services, name, await argumentsOf(request), signal));
    };
    work().then(
      (text) => {
        finish(200, text);
        if (action === 'down') end();
      },
      (error: unknown) => finish(400, JSON.stringify({ error: messageOf(error) })),
    );
  });
  const port = await listening(server);
  await mkdir(dirname(file), { recursive: true });
  const place: LabPlace = { url: `http://127.0.0.1:${port}`, word, map: controlled.map };
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

/** @throws LabAway when no lab runs. */
export async function findLab(file: string): Promise<LabPlace> {
  try {
    return placeSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) throw new LabAway(`No lab runs here (${file} is not there): npx holdfast lab up`);
    throw error;
  }
}

/** @throws LabAway when no lab runs, Error with what it has answered when it refuses. */
export async function askLab(file: string, action: LabAction, target: LabTarget = {}): Promise<unknown> {
  const query = new URLSearchParams(Object.entries(target));
  const signal = AbortSignal.timeout(patienceMs);
  return asking(file, await findLab(file), `/${action}?${query.toString()}`, '', signal);
}

/** For the books of another process. */
export function callingLab(file: string, place: LabPlace): CallLab {
  const answerSchema = z.object({ answer: z.unknown() });
  return async (verb, args, signal) =>
    answerSchema.parse(await asking(file, place, `/${verb}`, JSON.stringify(args), signal)).answer;
}

async function asking(
  file: string,
  { url, word }: LabPlace,
  path: string,
  body: string,
  signal: AbortSignal,
): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(new URL(path, url), { method: 'POST', headers: { 'x-lab-word': word }, body, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw new LabAway(`The lab of ${file} does not answer: npx holdfast lab up`, { cause: error });
  }
  // Another program has its port by now, be it another lab.
  const answer: unknown = response.status === 401 ? undefined : await response.json().catch(() => undefined);
  if (answer === undefined) {
    signal.throwIfAborted();
    throw new LabAway(`Where the lab of ${file} was, somebody else answers: npx holdfast lab up`);
  }
  if (response.ok) return answer;
  const refused = z.object({ error: z.string() }).safeParse(answer);
  throw new Error(`The lab refused: ${refused.success ? refused.data.error : response.status}`);
}

export class LabAway extends Error {}

async function perform(
  { lab, takeBackups, clients }: ControlledLab,
  action: LabAction,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<object> {
  const region = query.get('region') ?? undefined;
  const zone = query.get('zone') ?? undefined;
  switch (action) {
    case 'status':
      return { ...(await lab.status()), clients: clients() };
    case 'partition':
      await (region === undefined ? lab.partition() : lab.isolate(regionNamed(region)));
      break;
    case 'heal':
      await heal(lab);
      break;
    case 'kill':
      await kill(lab, region, zone);
      break;
    case 'backup':
      await takeBackups(signal);
      break;
    case 'down':
      break;
  }
  return { is: action, ...(region === undefined ? {} : { region }), ...(zone === undefined ? {} : { zone }) };
}

async function kill(lab: TwoRegions, region: string | undefined, zone: string | undefined): Promise<void> {
  if (region === undefined) throw new Error('say which region, --region a or --region b');
  const name = regionNamed(region);
  if (zone !== undefined) requireZone(name, zone);
  await lab.region(name).kill(zone);
}

/** Links first; then what was killed starts again, on its own folders. */
async function heal(lab: TwoRegions): Promise<void> {
  await lab.heal();
  for (const name of regionNames) await lab.region(name).restart();
}

async function argumentsOf(request: IncomingMessage): Promise<readonly unknown[]> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request) {
    const bytes = Buffer.from(piece);
    length += bytes.length;
    if (length > mostBytes) throw new Error('too long a question');
    pieces.push(bytes);
  }
  return z.array(z.unknown()).parse(JSON.parse(Buffer.concat(pieces).toString()));
}

function isWord(given: string | string[] | undefined, word: string): boolean {
  const [one, other] = [Buffer.from(typeof given === 'string' ? given : ''), Buffer.from(word)];
  return one.length === other.length && timingSafeEqual(one, other);
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the lab has no port');
  return address.port;
}
