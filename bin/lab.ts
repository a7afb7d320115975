/** `holdfast lab`: the two regions of the drills, kept running for people. */
import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { askLab, type LabAction, LabAway, openLabControl } from '../runbooks/lab/lab-control.ts';
import { findLabParts, type LabParts } from '../runbooks/lab/lab-parts.ts';
import { labMasterKey, regionNames, startTwoRegions } from '../runbooks/lab/two-regions.ts';
import { startUpstream } from '../runbooks/lab/upstream.ts';
import type { Host } from './runbook/host.ts';
import { thisMachine } from './runbook/this-machine.ts';

export interface LabOptions {
  readonly data: string;
}

export interface LabUpOptions extends LabOptions {
  readonly gateways: number;
}

/** What the machine has or can fetch. The rest is said by name and left out; in CI nothing may be. */
export async function partsOf({ terminal, signal }: Host): Promise<LabParts> {
  const { parts, missing } = await findLabParts(signal);
  if (missing.length > 0 && process.env['CI'] !== undefined) throw new Error(missing.join('\n'));
  for (const sentence of missing) terminal.writeError(`Left out: ${sentence}\n`);
  return parts;
}

const ttlSeconds = 4;
const placeFile = (data: string): string => join(resolve(data), 'lab.json');

/** Ends with `lab down`, or with Ctrl-C. @returns the exit code. */
export async function labUp({ data, gateways }: LabUpOptions): Promise<number> {
  const host = await thisMachine();
  const { terminal, signal } = host;
  if (await isRunning(data)) {
    terminal.writeError('A lab runs here already: npx holdfast lab status\n');
    return 3;
  }
  const directory = resolve(data, 'lab');
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const upstream = await startUpstream({ name: 'the upstream of the lab', chunkEveryMs: 20 });
  try {
    const lab = await startTwoRegions({
      directory,
      gateways,
      ttlSeconds,
      parts: await partsOf(host),
      config: `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_base: "${upstream.url}", api_key: sk-u}`,
    });
    const control = await openLabControl(lab, placeFile(data));
    try {
      const lines = regionNames.flatMap((name) => [
        `region ${name}: gateways ${lab
          .region(name)
          .gatewayPorts.map((port) => `http://127.0.0.1:${port}`)
          .join(' ')}`,
        `          database ${lab.region(name).operatorUrl}`,
      ]);
      terminal.write(
        `${[...lines, `model chat, administrator's key ${labMasterKey}`, 'Next: npx holdfast lab status | kill --region a | partition | heal | down'].join('\n')}\n`,
      );
      await Promise.race([control.asked, aborted(signal)]);
    } finally {
      await control.close();
      await lab.stop();
    }
  } finally {
    await upstream.close();
  }
  return 0;
}

/** @returns the exit code: 3 when no lab runs or it refuses. */
export async function labAsk(action: LabAction, { data, region }: LabOptions & { readonly region?: string }) {
  const { terminal } = await thisMachine();
  try {
    terminal.write(`${JSON.stringify(await askLab(placeFile(data), action, region), undefined, 2)}\n`);
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
