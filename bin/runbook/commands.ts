/** The words of `holdfast runbook`. What they do is loaded when one of them is given. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Host } from './host.ts';

/** @param host made when a command runs: listing the options must not open anything. */
export function runbookCommand(host: () => Promise<Host>, exitWith: (code: number) => void): Command {
  const command = new Command('runbook').description(
    'Run books: failover, switchover, failback, restore, drill. The same tree is rehearsed, run, resumed and printed.',
  );
  command
    .command('list')
    .description('Show all books with their parameters, or all runs.')
    .option('--runs', 'show runs, and when the next drill is due')
    .addOption(journal())
    .option('--json', 'print JSON')
    .action(async (options) => exitWith(await (await import('./show.ts')).listBooks(await host(), options)));
  command
    .command('show')
    .description('Print a book: when to use it, every step with its commands, what can go wrong.')
    .argument('<name>')
    .argument('[parameters...]', 'name=value')
    .addOption(new Option('--format <format>', 'how').choices(['md', 'html']).default('md'))
    .option('--blank', 'with names to fill in')
    .option('--policy', 'the IAM policy of who runs it, with these rights and no others')
    .action(async (name, parameters, options) =>
      exitWith(await (await import('./show.ts')).showBook(await host(), name, parameters, options)),
    );
  command
    .command('rehearse')
    .description(
      'Look at everything that a run would look at, and change nothing. Exit code 3 when it would be refused.',
    )
    .argument('<name>')
    .argument('[parameters...]', 'name=value')
    .addOption(world())
    .option('--json', 'print JSON')
    .action(async (name, parameters, options) =>
      exitWith(await (await import('./show.ts')).rehearseBook(await host(), name, parameters, options)),
    );
  performing(command.command('run'))
    .description('Run a book. Steps that cannot be taken back ask for a name.')
    .argument('<name>')
    .argument('[parameters...]', 'name=value; what holdfast.config.ts says need not be given')
    .addOption(world())
    .action(async (name, parameters, options) =>
      exitWith(await (await import('./perform.ts')).runBook(await host(), name, parameters, options)),
    );
  performing(command.command('resume'))
    .description('Go on with a run that was interrupted, by whomever: what stands is left alone.')
    .argument('<run>')
    .action(async (run, options) =>
      exitWith(await (await import('./perform.ts')).resumeRun(await host(), run, options)),
    );
  performing(command.command('undo'))
    .description('Take a run back, newest step first, up to what cannot be taken back.')
    .argument('<run>')
    .action(async (run, options) => exitWith(await (await import('./perform.ts')).undoRun(await host(), run, options)));
  command
    .command('report')
    .description('Print what happened: timeline, recovery time and data loss against the objectives, what to do next.')
    .argument('<run>')
    .addOption(journal())
    .addOption(new Option('--format <format>', 'how').choices(['md', 'html', 'json']).default('md'))
    .action(async (run, options) =>
      exitWith(await (await import('./report.ts')).reportRun(await host(), run, options)),
    );
  return command;
}

export const world = (): Option =>
  new Option('--world <name>', 'what is asked and acted upon').choices(['aws', 'lab']).default('aws');
const journal = (): Option =>
  new Option('--journal <place>', 'folder, or s3://bucket/prefix?region=..., where runs are kept');

/** What every command takes that goes on with a run. */
export const performing = (command: Command): Command =>
  command
    .addOption(journal())
    .addOption(new Option('--confirm <name...>', 'names typed beforehand, for runs that nobody watches'))
    .addOption(new Option('--poll <seconds>', 'between two looks').argParser(seconds).default(5))
    .option('--json', 'one JSON object a line')
    .addHelpText('after', exitCodeHelp);

const exitCodeHelp = `
Exit codes: 0 done, 1 a drill did not pass, 2 the command line is wrong, 3 refused before anything was changed,
4 stopped on the way (resume or undo), 5 patience is over (the same).`;

function seconds(value: string): number {
  const number = Number(value);
  if (!(number > 0) || number > 3_600) throw new InvalidArgumentError('Write a number of seconds, at most 3600.');
  return number;
}
