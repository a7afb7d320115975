/** What the operator typed, and what a failure says to them. */
import { isRunbookId, ParameterError, type Parameters, withDefaults } from '../../runbooks/books/registry.ts';
import type { RunbookId } from '../../runbooks/catalog.ts';
import { JournalBroken, PositionTaken } from '../../runbooks/engine/journal.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import { exitCodes, RunError } from '../../runbooks/engine/run.ts';
import { labParameters } from '../../runbooks/lab/lab-parameters.ts';
import { type Host, type OpenedWorld, UsageError, type WorldName } from './host.ts';

/** @throws UsageError */
export function idOf(name: string): RunbookId {
  if (isRunbookId(name)) return name;
  throw new UsageError(`There is no runbook ${name}; npx holdfast runbook list shows them`);
}

/** @throws UsageError when the world lacks what the book needs; better before the first step than in the middle. */
export async function openedFor(host: Host, name: WorldName, id: string): Promise<OpenedWorld> {
  const opened = await host.openWorld(name);
  const { books, refusals } = opened;
  const refusal = Object.entries(refusals ?? {}).find(([book]) => book === id)?.[1];
  if (refusal !== undefined) {
    await opened.close();
    throw new UsageError(`The world ${name} has no part in ${id}: ${refusal}`);
  }
  if (books === undefined || books.some((known) => known === id)) return opened;
  await opened.close();
  throw new UsageError(
    `The world ${name} cannot run ${id} yet, only ${books.join(', ')}. Its steps with their commands: npx holdfast runbook show ${id}`,
  );
}

/** `name=value` words, over what the platform's description says, or the lab. */
export async function parametersOf(
  host: Host,
  name: string,
  words: readonly string[],
  world: WorldName = 'aws',
): Promise<Parameters> {
  const given: Record<string, string> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    if (at < 1) throw new UsageError(`${word}: write parameters as name=value`);
    given[word.slice(0, at)] = word.slice(at + 1);
  }
  if (world === 'lab') return { ...labParameters(idOf(name)), ...given };
  return withDefaults(idOf(name), given, await host.platform());
}

/** Every failure ends in one sentence and its exit code; 1 = something of the world did not answer as it should. */
export async function explained({ terminal }: Host, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    terminal.writeError(`${messageOf(error)}\n`);
    if (error instanceof UsageError || error instanceof ParameterError) return 2;
    if (error instanceof PositionTaken || error instanceof JournalBroken) return exitCodes.partial;
    if (error instanceof RunError) return exitCodes.refused;
    if (error instanceof Error) return 1;
    throw error;
  }
}
