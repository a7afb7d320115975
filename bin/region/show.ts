/** `holdfast region status|topology|history`: nothing is changed. */
import { databaseIdentifier, regionalDomain } from '../../lib/platform/names.ts';
import { epochOf } from '../../runbooks/region/history.ts';
import { type RegionPage, readPage } from '../../runbooks/region/page.ts';
import { statusOf } from '../../runbooks/region/status.ts';
import { allRuns } from '../runbook/all-runs.ts';
import { explained } from '../runbook/command-line.ts';
import type { Host } from '../runbook/host.ts';
import { addressOf, answered, inWorld, namesOf, platformOf, type RegionOptions, type Unanswered } from './options.ts';

/** @returns 0 when everything fits together, 1 when not. */
export async function regionStatus(host: Host, given: RegionOptions): Promise<number> {
  return explained(host, async () => {
    const platform = await platformOf(host);
    const opened = await host.openWorld(given.world, 'looks');
    const options = inWorld(given, opened);
    try {
      const { claims, traffic } = opened.world;
      const reading = await claims.read(host.signal);
      const regions = await Promise.all(
        namesOf(platform, options).map(async (region) => ({
          region,
          page: await answered(() => readPage(addressOf(platform, region, options), host.signal)),
          takeover: await traffic.takeover(region, host.signal).catch(() => undefined),
        })),
      );
      const { claim, faults } = statusOf(reading, regions);
      if (options.json === true) host.terminal.write(`${JSON.stringify({ claim, regions, faults })}\n`);
      else {
        host.terminal.write(
          claim === undefined
            ? 'claim       none that can be believed\n'
            : `claim       epoch ${claim.epoch}, ${claim.writer}, ${claim.phase}, candidates ${claim.candidates.join(', ') || 'none'}\n`,
        );
        for (const { region, page, takeover } of regions) {
          host.terminal.write(
            `${region.padEnd(12)}${pageLine(page)}${takeover === undefined ? '' : ', takeover object'}\n`,
          );
        }
        for (const fault of faults) host.terminal.write(`  ! ${fault}\n`);
      }
      return faults.length === 0 ? 0 : 1;
    } finally {
      await opened.close();
    }
  });
}

function pageLine(page: RegionPage | Unanswered): string {
  if ('because' in page) return `does not answer (${page.because})`;
  const lag = page.replayLagSeconds === undefined ? '' : `, lag ${page.replayLagSeconds} s`;
  return `${page.standing}, epoch ${page.epoch ?? '-'}, version ${page.version}${lag}`;
}

export async function regionTopology(host: Host, options: RegionOptions): Promise<number> {
  return explained(host, async () => {
    const platform = await platformOf(host);
    const rows = platform.regions.map((region) => ({
      region: region.region,
      role: region.role,
      address: regionalDomain(platform, region.region),
      gateways: region.gatewayReplicas,
      zones: region.availabilityZones,
      database: databaseIdentifier(platform, region),
      follows: region.databaseSource && databaseIdentifier(platform, region.databaseSource),
    }));
    if (options.json === true)
      host.terminal.write(
        `${JSON.stringify({ topology: platform.topology, tier: platform.tier.name, regions: rows })}\n`,
      );
    else {
      host.terminal.write(`${platform.domain}: ${platform.topology}, tier ${platform.tier.name}\n`);
      for (const { region, role, gateways, zones, database, follows } of rows) {
        host.terminal.write(
          `  ${region.padEnd(14)}${role.padEnd(9)}${gateways} gateways in ${zones.length} zones, ${database}${follows === undefined ? '' : ` <- ${follows}`}\n`,
        );
      }
    }
    return 0;
  });
}

export async function regionHistory(host: Host, options: RegionOptions): Promise<number> {
  return explained(host, async () => {
    const found = (await allRuns(host, options.journal)).flatMap(({ run, events }) => epochOf(run, events) ?? []);
    const epochs = found.toSorted((one, other) => one.epoch - other.epoch);
    if (options.json === true) host.terminal.write(`${JSON.stringify(epochs)}\n`);
    else if (epochs.length === 0) host.terminal.write('No run has moved the right to write.\n');
    for (const { epoch, writer, at, run, book, operator, openedAfterSeconds } of options.json === true ? [] : epochs) {
      const opened =
        openedAfterSeconds === undefined ? 'not opened' : `writes after ${openedAfterSeconds.toFixed(1)} s`;
      host.terminal.write(`  epoch ${epoch}  ${writer.padEnd(14)}${at}  ${book}, ${run}, ${operator}, ${opened}\n`);
    }
    return 0;
  });
}
