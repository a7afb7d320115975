/** `holdfast lab`: the two regions of the drills, kept running for people. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../runbooks/lab/error-code.ts';
import { type FolderOwner, ownFolder } from '../runbooks/lab/folder-owner.ts';
import { askLab, type LabAction, LabAway, type LabTarget, openLabControl } from '../runbooks/lab/lab-control.ts';
import { findLabParts, type LabParts } from '../runbooks/lab/lab-parts.ts';
import { LauncherError } from '../runbooks/lab/launcher-error.ts';
import { makeNamespaces, type NamespacedNetworks } from '../runbooks/lab/region-network.ts';
import { labPlaceFile, type RunningLab, type RunningLabOptions, startRunningLab } from '../runbooks/lab/running-lab.ts';
import { labMasterKey, regionNames } from '../runbooks/lab/two-regions.ts';
import { bookArchives } from './runbook/archived-spend.ts';
import type { Host } from './runbook/host.ts';
import { thisMachine } from './runbook/this-machine.ts';

export interface LabOptions {
  readonly data: string;
}

export interface LabUpOptions extends LabOptions {
  readonly gateways: number;
  /** Of its clients, a second. */
  readonly rate: number;
  /** Each region in a network namespace: true = must be, false = must not, else when it can be. */
  readonly namespaces?: boolean;
}

/** What the machine has or can fetch. The rest is said by name and left out; in CI nothing may be. */
export async function partsOf({ terminal, signal }: Host): Promise<LabParts> {
  const { parts, missing } = await findLabParts(signal);
  if (missing.length > 0 && process.env['CI'] !== undefined) throw new Error(missing.join('\n'));
  for (const sentence of missing) terminal.writeError(`Left out: ${sentence}\n`);
  return parts;
}

/** With the 15 s of production nothing could be seen within seconds. */
export const labTtlSeconds = 4;
const placeFile = (data: string): string => labPlaceFile(resolve(data));

/** Ends with `lab down`, or with Ctrl-C. @returns the exit code. */
export async function labUp({ data, gateways, rate, namespaces }: LabUpOptions): Promise<number> {
  const host = await thisMachine();
  const { terminal } = host;
  if (await isRunning(data)) {
    terminal.writeError('A lab runs here already: npx holdfast lab status\n');
    return 3;
  }
  const directory = resolve(data, 'lab');
  const folder = await takeFolder(directory);
  if (folder === undefined) {
    terminal.writeError('A lab is being started here, or ended: npx holdfast lab status\n');
    return 3;
  }
  try {
    return await startUp(host, directory, {
      data,
      gateways,
      rate,
      ...(namespaces === undefined ? {} : { namespaces }),
    });
  } finally {
    folder.release();
  }
}

/**
 * A new, empty folder, for one process alone: whoever begins later must not delete what the first one works with.
 * @returns undefined when another process has it.
 */
export async function takeFolder(directory: string): Promise<FolderOwner | undefined> {
  await mkdir(dirname(directory), { recursive: true });
  try {
    const owner = ownFolder(directory);
    await rm(directory, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    return owner;
  } catch (error) {
    if (error instanceof LauncherError && error.code === 'DataFolderInUse') return undefined;
    throw error;
  }
}

async function startUp(
  host: Host,
  directory: string,
  { data, gateways, rate, namespaces }: LabUpOptions,
): Promise<number> {
  const parts = await partsOf(host);
  const namespaced = namespaces === false ? undefined : await namespacesHere(host, namespaces === true);
  try {
    return await keepUp(host, data, {
      directory,
      gateways,
      requestsPerSecond: rate,
      ttlSeconds: labTtlSeconds,
      parts,
      bookArchives,
      ...(namespaced === undefined ? {} : { networks: namespaced.networks }),
    });
  } finally {
    await namespaced?.remove();
  }
}

async function namespacesHere({ terminal, signal }: Host, mustBe: boolean): Promise<NamespacedNetworks | undefined> {
  try {
    return await makeNamespaces(signal);
  } catch (error) {
    if (mustBe) throw error;
    terminal.writeError(`Both regions are on loopback: ${messageOf(error)}\n`);
    return undefined;
  }
}

async function keepUp({ terminal, signal }: Host, data: string, options: RunningLabOptions): Promise<number> {
  const lab = await startRunningLab(options);
  try {
    await lab.takeBackups(signal);
    const control = await openLabControl(lab, placeFile(data));
    try {
      terminal.write(introduction(lab));
      await Promise.race([control.asked, aborted(signal)]);
    } finally {
      await control.close();
    }
  } finally {
    await lab.stop();
  }
  return 0;
}

function introduction({ lab, map }: RunningLab): string {
  const lines = regionNames.flatMap((name) => {
    const { operatorUrl, addresses, places } = lab.region(name);
    const zones = places.map(({ zone, gateway }) => `${zone} ${gateway?.url ?? '-'}`).join(', ');
    return [`region ${name}  ${addresses.join(' ')}  (${zones})`, `          ${operatorUrl}`];
  });
  return `${[
    ...lines,
    `model ${map.model}, administrator's key ${labMasterKey}`,
    'In another terminal: npx holdfast lab status | kill --region a | partition --region a | heal | backup | down',
    '                     npx holdfast runbook run region-failover --world lab',
  ].join('\n')}\n`;
}

/** @returns the exit code: 3 when no lab runs or it refuses. */
export async function labAsk(action: LabAction, { data, ...target }: LabOptions & LabTarget): Promise<number> {
  const { terminal } = await thisMachine();
  try {
    terminal.write(`${JSON.stringify(await askLab(placeFile(data), action, target), undefined, 2)}\n`);
    return 0;
  } catch (error) {
    terminal.writeError(`${error instanceof Error ? error.message : String(error)}\n`);
    return 3;
  }
}

async function isRunning(data: string): Promise<boolean> {
  try {
    await askLab(placeFile(data), 'status');
    return true;
  } catch (error) {
    if (error instanceof LabAway) return false;
    throw error;
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
