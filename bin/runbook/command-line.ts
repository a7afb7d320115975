/** What the operator typed, and what a failure says to them. */
import type { Platform } from '../../lib/platform/platform.ts';
import {
  buildBook,
  isRunbookId,
  ParameterError,
  type Parameters,
  parameterFaults,
  withDefaults,
} from '../../runbooks/books/registry.ts';
import type { World } from '../../runbooks/books/world.ts';
import type { RunbookId } from '../../runbooks/catalog.ts';
import { JournalAway, JournalBroken, PositionTaken } from '../../runbooks/engine/journal.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import { exitCodes, RunError } from '../../runbooks/engine/run.ts';
import type { Runbook } from '../../runbooks/engine/step.ts';
import { labParameters, labPlaces } from '../../runbooks/lab/lab-parameters.ts';
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

/**
 * The book that was asked for, from `name=value` words over what the platform's description says, or the lab.
 * @throws ParameterError with everything that is wrong.
 */
export async function bookOf(
  host: Host,
  name: string,
  words: readonly string[],
  world: WorldName = 'aws',
): Promise<{ readonly book: Runbook<World>; readonly parameters: Parameters }> {
  const id = idOf(name);
  const platform = await host.platform();
  const { given, faults } = givenIn(words);
  const parameters = world === 'lab' ? { ...labParameters(id), ...given } : withDefaults(id, given, platform);
  const places = world === 'lab' ? labPlaces : platform && placesOf(platform);
  const all = [...faults, ...parameterFaults(id, parameters), ...(places ? placeFaults(id, parameters, places) : [])];
  if (all.length > 0) throw new ParameterError(id, all);
  return { book: buildBook(id, parameters), parameters };
}

function givenIn(words: readonly string[]): { readonly given: Parameters; readonly faults: readonly string[] } {
  const given: Record<string, string> = {};
  const faults: string[] = [];
  for (const word of words) {
    const at = word.indexOf('=');
    const name = word.slice(0, at);
    if (at < 1) faults.push(`${word}: write parameters as name=value`);
    else if (name in given) faults.push(`${name}: is given twice`);
    else given[name] = word.slice(at + 1);
  }
  return { given, faults };
}

/** Regions of a world, each with its zones. */
type Places = ReadonlyMap<string, readonly string[]>;

const placesOf = ({ regions }: Platform): Places =>
  new Map(regions.map(({ region, availabilityZones }) => [region, availabilityZones]));

/** A name that is mistyped would be waited for until patience is over. */
function placeFaults(id: RunbookId, parameters: Parameters, places: Places): string[] {
  const known = [...places.keys()].join(', ');
  const { target, former, region, primary, standbys, zone } = parameters;
  // What was lost may have left the description by the time it is brought back elsewhere.
  const named = { target, region, primary, ...(id === 'disaster-restore' ? {} : { former }) };
  const faults = [...Object.entries(named), ...(standbys ?? '').split(',').map((one) => ['standbys', one] as const)]
    .filter(([, name]) => name !== undefined && name !== '' && !places.has(name))
    .map(([parameter, name]) => `${parameter}: there is no region ${name}; there are ${known}`);
  const zones = places.get(region ?? primary ?? '');
  if (zone === undefined || zones === undefined || zones.includes(zone)) return faults;
  return [...faults, `zone: there is no zone ${zone} in ${region ?? primary}; there are ${zones.join(', ')}`];
}

/** Every failure ends in one sentence and its exit code; 1 = something of the world did not answer as it should. */
export async function explained({ terminal }: Host, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    terminal.writeError(`${messageOf(error)}\n`);
    if (error instanceof UsageError || error instanceof ParameterError) return 2;
    if (error instanceof PositionTaken || error instanceof JournalBroken) return exitCodes.partial;
    if (error instanceof JournalAway) return error.hasBegun ? exitCodes.partial : exitCodes.refused;
    if (error instanceof RunError) return exitCodes.refused;
    if (error instanceof Error) return 1;
    throw error;
  }
}
