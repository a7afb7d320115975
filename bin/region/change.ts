/** `holdfast region fence|pause|resume`: who may write, by hand. For a move with all its steps: `holdfast runbook run`. */

import { giveRightBack } from '../../runbooks/books/steps/close.ts';
import type { StepContext } from '../../runbooks/engine/step.ts';
import { explained } from '../runbook/command-line.ts';
import { type Host, UsageError, type WorldName } from '../runbook/host.ts';

export interface ChangeOptions {
  readonly world: WorldName;
  /** The name, typed beforehand. */
  readonly confirm?: string;
}

const patienceMs = 60_000;

/** Closes a region's row: it takes no control-plane write until a run gives it the right again. Serving goes on. */
export async function fenceRegion(host: Host, region: string, options: ChangeOptions): Promise<number> {
  return changed(
    host,
    region,
    options,
    'Close it for control-plane writes; serving and spend go on',
    async (world, signal) => {
      await world.database(region).close(signal);
      const { row } = await world.database(region).view(signal);
      if (row.state !== 'closed') throw new Error(`The row of ${region} is ${row.state}`);
      return `${region} is closed: control-plane writes are refused there until \`holdfast region resume ${region}\``;
    },
  );
}

/** The writer alone can be paused; any other region has nothing to pause. */
export async function pauseWriter(host: Host, region: string, options: ChangeOptions): Promise<number> {
  return changed(host, region, options, 'Hold control-plane writes of the platform', async (world, signal) => {
    const claim = (await world.claims.read(signal)).agreed;
    if (claim?.writer !== region)
      throw new UsageError(`${region} is not the writer; the claim names ${claim?.writer ?? 'nobody'}`);
    await world.database(region).close(signal);
    return `Control-plane writes are held until \`holdfast region resume ${region}\``;
  });
}

/** With a new epoch: what was begun before the pause comes too late. */
export async function resumeWriter(host: Host, region: string, options: ChangeOptions): Promise<number> {
  return changed(host, region, options, 'Open it again, with a new epoch', async (world, signal) => {
    const claim = (await world.claims.read(signal)).agreed;
    if (claim?.writer !== region) {
      throw new UsageError(
        `${region} is not the writer; the claim names ${claim?.writer ?? 'nobody'}. To move the right: region-failover, region-switchover`,
      );
    }
    const context: StepContext = {
      runId: host.newRunId(),
      token: 'region-resume',
      signal,
      facts: () => ({}),
      progress: () => undefined,
    };
    await giveRightBack(region)(world, context);
    const after = (await world.claims.read(signal)).agreed;
    return `${region} writes in epoch ${after?.epoch ?? '?'}`;
  });
}

type Opened = Awaited<ReturnType<Host['openWorld']>>['world'];

function changed(
  host: Host,
  region: string,
  { world, confirm }: ChangeOptions,
  what: string,
  change: (world: Opened, signal: AbortSignal) => Promise<string>,
): Promise<number> {
  return explained(host, async () => {
    const { terminal } = host;
    const typed =
      confirm ??
      (terminal.isInteractive ? (await terminal.ask(`${what}. Type ${region} to do it: `, host.signal)).trim() : '');
    if (typed !== region)
      throw new UsageError(`Nothing was changed: "${region}" was not typed (or given with --confirm)`);
    const opened = await host.openWorld(world);
    try {
      const signal = AbortSignal.any([host.signal, AbortSignal.timeout(patienceMs)]);
      terminal.write(`${await change(opened.world, signal)}\n`);
      return 0;
    } finally {
      await opened.close();
    }
  });
}
