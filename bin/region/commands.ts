/** The words of `holdfast region`. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { performing, world } from '../runbook/commands.ts';
import type { Host } from '../runbook/host.ts';

export function regionCommand(host: () => Promise<Host>, exitWith: (code: number) => void): Command {
  const command = new Command('region').description(
    'See which region writes, whether a standby is ready, and hold writes.',
  );
  const looks = [
    ['status', 'Show the claim and every region against it. Exit code 1 when something does not fit.', 'regionStatus'],
    ['topology', 'Show the regions of holdfast.config.ts, and which database follows which.', 'regionTopology'],
    ['history', 'Show which region wrote from when on, by the journals of runs.', 'regionHistory'],
  ] as const;
  for (const [name, description, work] of looks) {
    command
      .command(name)
      .description(description)
      .addOption(world())
      .option('--address <name=url...>', 'where gateways of a region are reached')
      .option('--journal <place>', 'where runs are kept')
      .option('--json', 'print JSON')
      .action(async (options) => exitWith(await (await import('./show.ts'))[work](await host(), options)));
  }
  command
    .command('ready')
    .description('Say whether each standby could take over now. Exit code 1 when one could not, or it is not known.')
    .addOption(world())
    .option('--address <name=url...>', 'where gateways of a region are reached')
    .option('--json', 'print JSON')
    .option('--metrics', 'print text for Prometheus')
    .addOption(new Option('--watch <seconds>', 'look again and again').argParser(whole(5, 3_600)))
    .addOption(new Option('--listen <port>', 'serve /metrics for Prometheus').argParser(whole(1, 65_535)))
    .option('--textfile <path>', "write them for the node exporter's textfile collector")
    .option('--in-cluster <region>', 'look at this region alone, from a pod in it; log a line of JSON for each change')
    .option('--platform <file>', 'with --in-cluster: the platform as JSON, in the place of holdfast.config.ts')
    .option('--cloudwatch', "put RegionReady into each standby's CloudWatch, where its alarm RegionNotReady waits")
    .option('--policy', 'print the IAM policy of who looks, with these rights and no others')
    .action(async ({ policy, ...options }) => {
      const ready = await import('./ready.ts');
      exitWith(await (policy === true ? ready.showPolicy(await host()) : ready.regionReady(await host(), options)));
    });
  performing(command.command('promote'))
    .description('Fail over to a region that stands by: the same as `runbook run region-failover target=REGION`.')
    .argument('<region>')
    .argument('[parameters...]', 'more of the book, as `runbook run` takes them: former=REGION unlisted=promote')
    .addOption(world())
    .option('--promote-with <way>', 'stack or rds', 'stack')
    .action(async (region, parameters, { promoteWith, ...options }) => {
      const { runBook } = await import('../runbook/perform.ts');
      const words = [`target=${region}`, `promoteWith=${promoteWith}`, ...parameters];
      exitWith(await runBook(await host(), 'region-failover', words, options));
    });
  const claimObject = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .argument('<region>')
      .option(
        '--buckets <list>',
        'BUCKET@REGION, one or three (default: HOLDFAST_CLAIM_BUCKETS, else holdfast.config.ts)',
      )
      .option('--endpoint <urls>', 'another server that speaks S3 (default: HOLDFAST_CLAIM_ENDPOINT)')
      .option('--key <name>', 'of the object (default: HOLDFAST_CLAIM_KEY, else claim.json)')
      .option('--database <url>', "the writer's (default: HOLDFAST_DATABASE_URL_REGION, else DATABASE_URL)");
  claimObject(
    'init',
    'Name the first writer and put the first claim into its buckets. Repeating it changes nothing. Exit code 3 when another claim is there.',
  )
    .option('--candidate <name...>', 'replicas that stand already, which a failover may promote')
    .option('--ttl <seconds>', 'how long a renewal is good for', whole(2, 600), 15)
    .action(async (region, options) =>
      exitWith(await (await import('./claim-objects.ts')).initRegion(await host(), region, options)),
    );
  claimObject(
    'detach',
    'Take a region that is lost for days off the candidates. Exit code 3 when no majority of the claim answers.',
  )
    .option('--confirm <name>', "the region's name, typed beforehand")
    .option('--without-claim', 'no majority answers: the writer goes on without a claim, and two regions can write')
    .action(async (region, options) =>
      exitWith(await (await import('./claim-objects.ts')).detachRegion(await host(), region, options)),
    );
  const changes = [
    ['fence', 'Close a region for control-plane writes, for example one that came back.', 'fenceRegion'],
    ['pause', "Hold control-plane writes: close the writer's row.", 'pauseWriter'],
    ['resume', 'Let the writer write again, in a new epoch.', 'resumeWriter'],
  ] as const;
  for (const [name, description, work] of changes) {
    command
      .command(name)
      .description(description)
      .argument('<region>')
      .addOption(world())
      .option('--confirm <name>', "the region's name, typed beforehand")
      .action(async (region, options) =>
        exitWith(await (await import('./change.ts'))[work](await host(), region, options)),
      );
  }
  return command;
}

const whole =
  (least: number, most: number) =>
  (value: string): number => {
    const number = Number(value);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`Write a whole number from ${least} to ${most}.`);
  };
