/**
 * The network that a region of the lab stands in: loopback, or, with root, a network namespace whose only cable leads to
 * this machine. Every way out of it is then one of the lab's proxies, and the cable can be pulled.
 */

import { messageOf } from './error-code.ts';
import { type RegionName, regionNames } from './region-name.ts';
import type { CommandLine } from './run-command.ts';
import { canRun, runCommand } from './run-command.ts';

export interface RegionNetwork {
  /** Address at which the region's servers listen. */
  readonly inside: string;
  /** Address of the lab as the region sees it. */
  readonly outside: string;
  /** Addresses that may ask the region's database, for pg_hba.conf; undefined = loopback alone. */
  readonly range: string | undefined;
  /** The program, run inside. It is replaced by `exec`. */
  readonly enter: (line: CommandLine) => CommandLine;
  pullCable(): Promise<void>;
  plugCable(): Promise<void>;
}

export type LabNetworks = Readonly<Record<RegionName, RegionNetwork>>;

const loopback: RegionNetwork = {
  inside: '127.0.0.1',
  outside: '127.0.0.1',
  range: undefined,
  enter: (line) => line,
  pullCable: async () => undefined,
  plugCable: async () => undefined,
};

export const loopbackNetworks: LabNetworks = { a: loopback, b: loopback };

export interface NamespacedNetworks {
  readonly networks: LabNetworks;
  /** After everything in them has ended. */
  remove(): Promise<void>;
}

const namespaceOf = (pid: number, region: RegionName): string => `holdfast-${pid}-${region}`;
/** At most 15 characters. */
const bridgeOf = (pid: number, region: RegionName): string => `hfb${pid}${region}`;
const cableOf = (pid: number, region: RegionName): string => `hfc${pid}${region}`;
const rangeOf = (octet: number): string => `10.77.${octet}`;

/** @throws when this machine does not let us; nothing is left of it. */
export async function makeNamespaces(signal?: AbortSignal): Promise<NamespacedNetworks> {
  if (process.getuid?.() !== 0) throw new Error('network namespaces need root');
  if (!(await canRun({ command: 'nsenter', args: ['--version'] }, signal))) throw new Error('there is no nsenter here');
  await sweep();
  const first = await freeOctet();
  try {
    return {
      networks: { a: await makeNamespace('a', first), b: await makeNamespace('b', first + 1) },
      remove: () => removeAll(process.pid),
    };
  } catch (error) {
    await removeAll(process.pid);
    throw new Error(`no network namespace can be made here: ${messageOf(error)}`, { cause: error });
  }
}

async function makeNamespace(region: RegionName, octet: number): Promise<RegionNetwork> {
  const { pid } = process;
  const [namespace, bridge, cable] = [namespaceOf(pid, region), bridgeOf(pid, region), cableOf(pid, region)];
  const [inside, outside] = [`${rangeOf(octet)}.1`, `${rangeOf(octet)}.254`];
  await ip('netns', 'add', namespace);
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  await ip('link', 'add', bridge, 'type', 'bridge');
  await ip('addr', 'add', `${outside}/24`, 'dev', bridge);
  await ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  const plugCable = async (): Promise<void> => {
    await ip('link', 'set', cable, 'master', bridge);
  };
  await plugCable();
  await ip('link', 'set', cable, 'up');
  await ip('link', 'set', bridge, 'up');
  await ip('-n', namespace, 'addr', 'add', `${inside}/24`, 'dev', 'eth0');
  await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  return {
    inside,
    outside,
    range: `${rangeOf(octet)}.0/24`,
    enter: ({ command, args, ...more }) => ({
      command: 'nsenter',
      args: [`--net=/run/netns/${namespace}`, '--', command, ...args],
      ...more,
    }),
    // Out of the bridge, not down: both ends keep their addresses, and nothing arrives any more.
    pullCable: async () => {
      await ip('link', 'set', cable, 'nomaster');
    },
    plugCable,
  };
}

/** Two neighbouring ranges that no interface has. */
async function freeOctet(): Promise<number> {
  const taken = await ip('-o', '-4', 'addr', 'show');
  for (let octet = 2; octet < 250; octet += 2) {
    if (!taken.includes(` ${rangeOf(octet)}.`) && !taken.includes(` ${rangeOf(octet + 1)}.`)) return octet;
  }
  throw new Error('every range of 10.77.0.0/16 is taken');
}

/** What labs have left that were killed. */
async function sweep(): Promise<void> {
  const names = await ip('netns', 'list');
  const pids = new Set([...names.matchAll(/^holdfast-(\d+)-[ab]\b/gm)].map(([, pid]) => Number(pid)));
  for (const pid of pids) if (!isAlive(pid)) await removeAll(pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // Nobody has this number.
    return false;
  }
}

/** What is there of it: a cable goes with its namespace. */
async function removeAll(pid: number): Promise<void> {
  for (const region of regionNames) {
    for (const args of [
      ['netns', 'del', namespaceOf(pid, region)],
      ['link', 'del', cableOf(pid, region)],
      ['link', 'del', bridgeOf(pid, region)],
    ]) {
      await canRun({ command: 'ip', args });
    }
  }
}

const ip = (...args: readonly string[]): Promise<string> => runCommand({ command: 'ip', args }, { timeoutSeconds: 10 });
