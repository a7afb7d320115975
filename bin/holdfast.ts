/** The command line. Each command is a thin call; what it does lives with the part it belongs to. */
import './compile-cache.ts';
import { Command, type CommanderError, InvalidArgumentError, Option } from 'commander';
import { version } from '../gateway/contract.ts';
import { regionCommand } from './region/commands.ts';
import { runbookCommand } from './runbook/commands.ts';

const program = new Command('holdfast')
  .description('An AI gateway platform that keeps serving when a provider, a process, a zone or a region goes down.')
  .version(version)
  .configureHelp({ sortSubcommands: true });

program
  .command('start')
  .description(
    'Run everything on this machine: PostgreSQL, migrations, the gateway and, without provider keys, demo upstreams.',
  )
  .option('--config <file>', 'a LiteLLM config.yaml (default: the example gateway/deploy/config.yaml)')
  .option('--port <number>', 'port of the gateway (default: PORT, else 4000)', portNumber)
  .option('--host <address>', 'address to listen on', '127.0.0.1')
  .option('--workers <count>', 'gateway processes that share the port', wholeNumber, 1)
  .option('--data <folder>', 'where the database and logs live', '.holdfast')
  .option('--demo', 'answer from local demo upstreams, whatever keys are set')
  .option('--new-admin-key', 'make and show another administrator key')
  .addHelpText(
    'after',
    `
Variables, also from a file .env in this folder (the command line wins over them):
  OPENAI_API_KEY, ...                   keys that the config names; without any, demo upstreams answer
  DATABASE_URL or POSTGRES_HOST/PORT/USER/PASSWORD/DB   use this PostgreSQL instead of an embedded one
  REDIS_URL or REDIS_HOST/PORT/PASSWORD                 share cooldowns between processes
  LITELLM_MASTER_KEY                    administrator key; without it one is made at the first start
Exit codes: 0 ended by you, 1 something is in the way (port, database), 2 the config or a variable is wrong.`,
  )
  .action(async (options) => exitWith(await (await import('./start.ts')).start(options)));

program
  .command('gateway')
  .description('Run gateway processes only, as a container does; everything comes from variables.')
  .option('--config <file>', 'a LiteLLM config.yaml (default: CONFIG_FILE_PATH, else /app/config/config.yaml)')
  .option('--port <number>', 'port (default: PORT, else 4000)', portNumber)
  .option('--workers <count>', 'processes that share the port', wholeNumber, 1)
  .action(async (options) => exitWith(await (await import('./gateway.ts')).gateway(options)));

program
  .command('migrate')
  .description(
    'Bring the database of DATABASE_URL up to date. Once per release, before the gateways; several at once wait for each other.',
  )
  .action(async () => exitWith(await (await import('./migrate.ts')).migrateDatabase()));

const spend = program.command('spend').description('Look after the ledger.');
spend
  .command('reingest')
  .argument('<archive>', 'BUCKET@REGION, as HOLDFAST_OUTBOX_ARCHIVE names it')
  .requiredOption('--from <region>', 'region whose gateways wrote the spend (local: there is one region)')
  .option('--endpoint <url>', 'another server that speaks S3')
  .description(
    'After a restore from a backup: book the spend that the archive has and the database lacks, each request once. It may be repeated, also while gateways run. Exit code 3: some is in neither.',
  )
  .action(async (archive, options) => exitWith(await (await import('./reingest.ts')).reingestSpend(archive, options)));
spend
  .command('reprice')
  .option(
    '--config <file>',
    'a LiteLLM config.yaml with the prices (default: CONFIG_FILE_PATH, else /app/config/config.yaml)',
  )
  .description(
    'Give requests whose cost was unknown the prices that are known now, with the sums and budgets they belong to. It may be repeated, and ended at any time.',
  )
  .action(async (options) => exitWith(await (await import('./reprice.ts')).repriceSpend(options)));

const config = program
  .command('config')
  .description('Look at a config.yaml, and at the configurations of a running gateway.');
config
  .command('check')
  .argument('<file>', 'a LiteLLM config.yaml')
  .description('Report every fault with its line and its mend; exit code 2 if there is one.')
  .action(async (file) => exitWith(await (await import('./config-check.ts')).checkConfig(file)));
config
  .command('explain')
  .argument('[file]', 'a LiteLLM config.yaml (default: the one that a gateway would start with)')
  .description('Show where each setting comes from: variable, line of the file, or default. Secrets are masked.')
  .action(async (file) => exitWith(await (await import('./config-explain.ts')).explainConfigFile(file)));
atGateway(config.command('history'))
  .option('--limit <count>', 'how many, newest first', positive, 20)
  .description('List the configurations that were live.')
  .action(async ({ limit, ...gateway }) =>
    exitWith(await (await import('./config-versions.ts')).showHistory(gateway, limit)),
  );
atGateway(config.command('diff'))
  .argument('<from>', 'number of a version')
  .argument('<to>', 'number of a version')
  .description('Show what differs between two of them. Secrets are masked.')
  .action(async (from, to, gateway) =>
    exitWith(await (await import('./config-versions.ts')).showDiff(gateway, from, to)),
  );
atGateway(config.command('rollback'))
  .argument('<version>', 'number of a version')
  .description('Make an old one live again, until the source changes.')
  .action(async (to, gateway) => exitWith(await (await import('./config-versions.ts')).rollBack(gateway, to)));
atGateway(config.command('push'))
  .argument('<file>', 'a LiteLLM config.yaml')
  .description('Make a file live in every process, until the source changes.')
  .action(async (file, gateway) => exitWith(await (await import('./config-versions.ts')).push(gateway, file)));

program
  .command('status')
  .argument('<url>', 'address of a gateway, without a path')
  .description('Show who leads, what each process runs on, what waits in the outbox, and what is missing since when.')
  .option('--key-file <file>', "file with an administrator's key (default: HOLDFAST_KEY, else LITELLM_MASTER_KEY)")
  .option('--json', 'print one JSON object', false)
  .addHelpText('after', '\nExit codes: 0 healthy, 1 it cannot be told, 3 degraded: the gateway serves.')
  .action(async (url, { json, keyFile }) =>
    exitWith(await (await import('./status.ts')).showStatus({ url, keyFile }, json)),
  );

program
  .command('synth')
  .description(
    'Write the CloudFormation templates and Kubernetes manifests of holdfast.config.ts and review them. Offline.',
  )
  .option('--json', 'print the review as JSON')
  .option('--environment <name>', 'which one, where the configuration has several (default: HOLDFAST_ENVIRONMENT)')
  .action(async (options) => exitWith(await (await import('./synth.ts')).synth(options)));

program
  .command('k8s')
  .description('Look at the Kubernetes manifests.')
  .command('diff')
  .description(
    'Show what `synth` would change in dist/k8s, object by object and field by field. Exit code 0 when nothing, 1 when something.',
  )
  .action(async () => exitWith(await (await import('./k8s-diff.ts')).k8sDiff()));

program
  .command('verify')
  .argument('<url>', 'address of a gateway or of the platform, without a path')
  .description('Ask for health, a completion, a stream, embeddings, and whether the spend of it arrives.')
  .option('--key-file <file>', 'file with a key (default: HOLDFAST_KEY, else LITELLM_MASTER_KEY)')
  .option('--model <name>', 'model group to ask (default: the first that the key may call)')
  .option('--embedding-model <name>', 'model group for embeddings (default: the first with `embed` in its model)')
  .option('--write', "also make, read back and delete a key; needs an administrator's key")
  .option('--timeout <seconds>', 'for one answer', seconds, 30)
  .option('--spend-patience <seconds>', 'until the spend must be in the ledger', seconds, 15)
  .option('--json', 'print one JSON object')
  .addHelpText('after', '\nExit codes: 0 all is well, 1 a check failed, 2 the command line is wrong.')
  .action(async (url, options) => exitWith(await (await import('./verify.ts')).verifyGateway(url, options)));

program
  .command('drill')
  .description('Start two regions here, put clients on them, lose one, run the real book, and measure.')
  .addOption(
    new Option('--book <name>', 'the book that is drilled')
      .choices(['region-failover', 'region-switchover', 'region-failback'])
      .default('region-failover'),
  )
  .addOption(
    new Option('--fault <kind>', 'how a region is lost, for region-failover')
      .choices(['kill', 'partition'])
      .default('kill'),
  )
  .option('--gateways <count>', 'processes in each region', wholeNumber, 2)
  .option(
    '--errors-at <percent>',
    'of the clients, from which on the failback meets errors, and must step back',
    wholeNumber,
  )
  .option('--rate <number>', 'requests a second', Number, 100)
  .addOption(
    new Option('--tier <name>', 'whose objectives it must meet')
      .choices(['standard', 'high', 'critical'])
      .default('critical'),
  )
  .option('--data <folder>', 'where databases, logs and journals lie', '.holdfast')
  .option('--json', 'one JSON object a line')
  .addHelpText('after', '\nExit codes: 0 passed, 1 not passed, 3 to 5 as of `runbook run`.')
  .action(async (options) => exitWith(await (await import('./drill.ts')).drillHere(options)));

/** Where `--world lab` looks for it, too. */
const labData = process.env['HOLDFAST_LAB'] ?? '.holdfast';
const labCommand = program
  .command('lab')
  .description('Keep the two regions of the drills running here, and break them.');
labCommand
  .command('up')
  .description('Start them, with clients; they end with `lab down` or Ctrl-C. Books run against them with --world lab.')
  .option('--gateways <count>', 'processes in each region, in two zones', wholeNumber, 2)
  .option('--rate <number>', 'requests a second of its clients', positive, 20)
  .option('--namespaces', 'each region in a network namespace of its own; the default where root can make them')
  .option('--no-namespaces', 'both on loopback')
  .option('--data <folder>', 'where databases and logs lie', labData)
  .action(async (options) => exitWith(await (await import('./lab.ts')).labUp(options)));
for (const [action, description, about] of [
  ['status', 'Show the claim, the databases, what each gateway says of its region, and how clients fare.', []],
  ['kill', 'End every process of a region with SIGKILL, or the gateways of one zone.', ['region', 'zone']],
  ['partition', 'Cut the regions off from each other, or one of them from everything outside.', ['region']],
  ['heal', 'Mend the links, and start again what was killed.', []],
  ['backup', 'Back up database, configuration and secrets of the region that writes.', []],
  ['down', 'End the lab.', []],
] as const) {
  const command = labCommand
    .command(action)
    .description(description)
    .option('--data <folder>', 'where it was started', labData);
  for (const name of about) command.option(`--${name} <name>`, name === 'zone' ? 'a1, a2, b1 or b2' : 'a or b');
  command.action(async (options: { readonly data: string; readonly region?: string; readonly zone?: string }) =>
    exitWith(await (await import('./lab.ts')).labAsk(action, options)),
  );
}

const host = async () => (await import('./runbook/this-machine.ts')).thisMachine();
program.addCommand(runbookCommand(host, exitWith));
program.addCommand(regionCommand(host, exitWith));

for (const command of withAllBelow(program))
  command.exitOverride(wrongUse).showHelpAfterError('(add --help for the options)');
await program.parseAsync();

function withAllBelow(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withAllBelow)];
}

/** What is typed wrongly ends with 2, here as everywhere; help and version with 0. */
function wrongUse({ exitCode }: CommanderError): never {
  process.exit(exitCode === 0 ? 0 : 2);
}

function atGateway(command: Command): Command {
  return command
    .option('--url <address>', 'of a gateway, without a path', 'http://127.0.0.1:4000')
    .option('--key-file <file>', "file with an administrator's key (default: HOLDFAST_KEY, else LITELLM_MASTER_KEY)");
}

/** Undefined while something keeps running that ends the process itself. */
function exitWith(code: number | undefined): void {
  if (code !== undefined) process.exitCode = code;
}

function wholeNumber(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 64)
    throw new InvalidArgumentError('Write a whole number from 1 to 64.');
  return number;
}

function seconds(value: string): number {
  const number = Number(value);
  if (!(number > 0) || number > 86_400) throw new InvalidArgumentError('Write a number of seconds, at most 86400.');
  return number;
}

function positive(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 1_000)
    throw new InvalidArgumentError('Write a whole number from 1 to 1000.');
  return number;
}

function portNumber(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 65_535)
    throw new InvalidArgumentError('Write a port from 1 to 65535.');
  return number;
}
