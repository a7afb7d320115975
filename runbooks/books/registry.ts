/** Every book with its parameters: what the command line, the printed runbooks and the tests build books from. */
import { z } from 'zod';
import type { Platform } from '../../lib/platform/platform.ts';
import { type RunbookId, runbookTitles } from '../catalog.ts';
import type { Runbook } from '../engine/step.ts';
import { backupVerify } from './backup-verify.ts';
import type { RestoreWay } from './backup-world.ts';
import { credentialRotation } from './credential-rotation.ts';
import { databaseRestore } from './database-restore.ts';
import { disasterRestore } from './disaster-restore.ts';
import { drill } from './drill.ts';
import { regionFailback } from './region-failback.ts';
import { regionFailover } from './region-failover.ts';
import { regionSwitchover } from './region-switchover.ts';
import { release } from './release.ts';
import { upgrade } from './upgrade.ts';
import type { World } from './world.ts';
import { zoneEvacuation } from './zone-evacuation.ts';

/** As they are typed, and as the journal keeps them: a resumed run builds the same book. */
export type Parameters = Readonly<Record<string, string>>;

/** A parameter is missing, unknown or wrong; the message names all of them. */
export class ParameterError extends Error {
  constructor(id: string, faults: readonly string[]) {
    super(`${id} cannot be built from these parameters:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ParameterError';
  }
}

interface Definition {
  readonly schema: z.ZodObject;
  /** What the platform's description says, where it says it. */
  readonly defaults: (platform: Platform) => Parameters;
  readonly build: (parameters: Parameters) => Runbook<World>;
}

const define = <Schema extends z.ZodObject>(
  schema: Schema,
  defaults: Definition['defaults'],
  build: (plan: z.output<Schema>) => Runbook<World>,
): Definition => ({ schema, defaults, build: (parameters) => build(schema.parse(parameters)) });

const region = z.string().min(1, 'is empty');
const seconds = z.coerce.number('is no number').positive('must be more than 0');
const list = z.string().transform((text) => text.split(',').filter((one) => one !== ''));

const target = region.describe('region that becomes the writer');
const former = region.describe('region that is the writer until then');
const maxLagSeconds = seconds.default(5).describe('refuse above this lag of the replica');
const unlisted = z
  .enum(['refuse', 'promote'])
  .default('refuse')
  .describe('what happens with a target that is no candidate: its replica may lack spend that outboxes have forgotten');
const promoteWith = z.enum(['stack', 'rds']).default('stack').describe('what promotes: the stack, or the RDS API');
const cache = z
  .enum(['none', 'promote'])
  .default('none')
  .describe('whether the cache of all regions moves along (globalCache)');
const failoverCache = z
  .enum(['none', 'promote', 'detach'])
  .default('none')
  .describe('how the cache of all regions moves along (globalCache): detach where AWS refuses to promote it');
const bakeSeconds = seconds.default(300).describe('how long each share or part is watched');
const primary = region.describe('region of the writer');
const standbys = list.describe('the other regions, separated by commas');
const way = z.enum(['snapshot', 'point-in-time', 'dump']).describe('what to restore from');
const dump = z.string().optional().describe('with way=dump: which one, s3://BUCKET/KEY; absent = the newest');
const at = z.iso
  .datetime('is no moment like 2026-11-21T18:40:00Z')
  .optional()
  .describe('data as of then (ISO 8601); absent = as new as can be had');
const namesDumpInVain = ({ way: by, dump: named }: { way: RestoreWay; dump?: string | undefined }): boolean =>
  named !== undefined && by !== 'dump';
const dumpsOnly = { path: ['dump'], error: 'names a dump: leave it out, or say way=dump' };

const isMove = ({ target: there, former: here }: { readonly target: string; readonly former: string }): boolean =>
  there !== here;
const noMove = { path: ['target'], error: 'is the same region as former' };

const toStandby = ({ primary: { region: from }, standbys: [standby], globalCache }: Platform): Parameters => ({
  ...(globalCache && { cache: 'promote' }),
  former: from,
  ...(standby === undefined ? {} : { target: standby.region }),
});
const ofPrimary = (platform: Platform): Parameters => ({ region: platform.primary.region });
const allRegions = (platform: Platform): Parameters => ({
  primary: platform.primary.region,
  standbys: platform.standbys.map((one) => one.region).join(','),
});

const definitions: Readonly<Record<Exclude<RunbookId, 'drill'>, Definition>> = {
  'region-failover': define(
    z.strictObject({ target, former, promoteWith, cache: failoverCache, unlisted }).refine(isMove, noMove),
    toStandby,
    regionFailover,
  ),
  'region-switchover': define(
    z.strictObject({ target, former, promoteWith, maxLagSeconds, cache }).refine(isMove, noMove),
    toStandby,
    regionSwitchover,
  ),
  'region-failback': define(
    z.strictObject({ target, former, promoteWith, maxLagSeconds, bakeSeconds, cache }).refine(isMove, noMove),
    (platform) => {
      const { former: home, target: standby, ...rest } = toStandby(platform);
      return {
        ...rest,
        ...(home === undefined ? {} : { target: home }),
        ...(standby === undefined ? {} : { former: standby }),
      };
    },
    regionFailback,
  ),
  'zone-evacuation': define(
    z.strictObject({
      region,
      zone: z.string().describe('zone to leave, for example us-east-1a'),
      shiftMinutes: seconds.default(180).describe('the shift ends by itself after this'),
    }),
    ofPrimary,
    zoneEvacuation,
  ),
  'database-restore': define(
    z.strictObject({ region, way, at, dump }).refine((plan) => !namesDumpInVain(plan), dumpsOnly),
    ofPrimary,
    ({ at: then, ...plan }) => databaseRestore({ ...plan, at: then }),
  ),
  'disaster-restore': define(
    z
      .strictObject({
        region: region.describe('region to come back in'),
        former,
        way,
        at,
        dump,
        vault: z.enum(['restore', 'none']).default('restore').describe('whether Vault comes back from its snapshot'),
      })
      .refine((plan) => !namesDumpInVain(plan), dumpsOnly),
    (platform) => ({
      former: platform.primary.region,
      vault: platform.cluster.addons.includes('vault') ? 'restore' : 'none',
    }),
    ({ at: then, ...plan }) => disasterRestore({ ...plan, at: then }),
  ),
  'backup-verify': define(z.strictObject({ region, way: way.default('snapshot') }), ofPrimary, (plan) =>
    backupVerify({ ...plan, at: undefined }),
  ),
  'credential-rotation': define(
    z.strictObject({
      region,
      credential: z.string().describe('database, cache, master-key or provider/NAME'),
      overlapSeconds: seconds.default(600).describe('how long both are accepted'),
    }),
    ofPrimary,
    credentialRotation,
  ),
  release: define(
    z.strictObject({
      image: z.string().describe('image with its digest'),
      primary,
      standbys,
      zone: z.string().describe('zone of the primary that goes first'),
      bakeSeconds,
    }),
    (platform) => ({
      ...allRegions(platform),
      image: platform.imageDigest === undefined ? platform.image : `${platform.image}@${platform.imageDigest}`,
      ...(platform.primary.availabilityZones[0] === undefined ? {} : { zone: platform.primary.availabilityZones[0] }),
    }),
    release,
  ),
  upgrade: define(
    z.strictObject({
      component: z.enum(['database', 'cluster']).describe('what is upgraded'),
      to: z.string().describe('version to upgrade to'),
      primary,
      standbys,
    }),
    allRegions,
    upgrade,
  ),
};

const drillSchema = z.strictObject({
  book: z.string().default('region-failover').describe('the book that is drilled; its parameters come beside it'),
  environment: z.enum(['lab', 'staging', 'production']).describe('where'),
  fault: z.enum(['kill', 'partition', 'none']).default('none').describe('what is broken on purpose'),
  requestsPerSecond: z.coerce
    .number('is no number')
    .positive('must be more than 0')
    .max(100, 'is more than 100: that is a load test')
    .default(5)
    .describe('requests of the drill’s clients a second, in staging: short completions that a provider charges for'),
});

const isDrillable = (id: string): id is Exclude<RunbookId, 'drill'> => id in definitions;
export const isRunbookId = (id: string): id is RunbookId => id in runbookTitles;

/** With what the platform's description says, for every parameter that is not given. */
export function withDefaults(id: RunbookId, given: Parameters, platform: Platform | undefined): Parameters {
  const inner = id === 'drill' ? (given['book'] ?? 'region-failover') : id;
  const known = platform === undefined || !isDrillable(inner) ? {} : definitions[inner].defaults(platform);
  return { ...known, ...given, ...(id === 'drill' ? { book: inner } : {}) };
}

/** @throws ParameterError with everything that is wrong. */
export function buildBook(id: RunbookId, parameters: Parameters): Runbook<World> {
  const faults = parameterFaults(id, parameters);
  if (faults.length > 0) throw new ParameterError(id, faults);
  return id === 'drill' ? buildDrill(parameters) : definitions[id].build(parameters);
}

/** Everything that is wrong, each with its name; empty = the book can be built. */
export function parameterFaults(id: RunbookId, parameters: Parameters): readonly string[] {
  if (id !== 'drill') return faultsOf(definitions[id].schema, parameters);
  const { own, others } = drillParameters(parameters);
  const { book = 'region-failover' } = own;
  const ofBook = isDrillable(book)
    ? faultsOf(definitions[book].schema, others)
    : [`book: there is no book ${book} to drill`];
  return [...faultsOf(drillSchema, own), ...ofBook];
}

/** The drill's own, and those of the book that is drilled. */
function drillParameters(parameters: Parameters): { readonly own: Parameters; readonly others: Parameters } {
  const those = (isOwn: boolean): Parameters =>
    Object.fromEntries(Object.entries(parameters).filter(([name]) => name in drillSchema.shape === isOwn));
  return { own: those(true), others: those(false) };
}

/** @param parameters without a fault. */
function buildDrill(parameters: Parameters): Runbook<World> {
  const { own, others } = drillParameters(parameters);
  const { environment, fault, book, requestsPerSecond } = drillSchema.parse(own);
  if (!isDrillable(book)) throw new ParameterError('drill', [`book: there is no book ${book} to drill`]);
  const here = others['region'] ?? others['primary'] ?? '';
  return drill(definitions[book].build(others), {
    environment,
    fault,
    victim: others['former'] ?? here,
    survivor: others['target'] ?? here,
    requestsPerSecond,
  });
}

function faultsOf(schema: z.ZodObject, parameters: Parameters): string[] {
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return [];
  return parsed.error.issues.map(({ path, message, code, ...issue }) => {
    if (code === 'unrecognized_keys' && 'keys' in issue) {
      return `${String(issue.keys)}: there is no such parameter; it knows ${Object.keys(schema.shape).join(', ')}`;
    }
    const name = path.join('.');
    return `${name}: ${parameters[name] === undefined ? 'is missing' : message} (${descriptionOf(schema, name)})`;
  });
}

export interface ParameterHelp {
  readonly name: string;
  readonly meaning: string;
  readonly isOptional: boolean;
}

export function parameterHelp(id: RunbookId): readonly ParameterHelp[] {
  const schema = id === 'drill' ? drillSchema : definitions[id].schema;
  return Object.entries(schema.shape).map(([name, field]) => ({
    name,
    meaning: descriptionOf(schema, name),
    isOptional: z.safeParse(field, undefined).success,
  }));
}

function descriptionOf(schema: z.ZodObject, name: string): string {
  const field: unknown = schema.shape[name];
  return (field instanceof z.ZodType ? field.description : undefined) ?? 'region it is about';
}

/** Stand-ins with which a book is printed for everybody. */
const placeholders: Parameters = {
  target: 'TARGET',
  former: 'FORMER',
  region: 'REGION',
  primary: 'PRIMARY',
  standbys: 'STANDBY',
  zone: 'ZONE',
  way: 'snapshot',
  credential: 'database',
  image: 'IMAGE',
  component: 'database',
  to: 'VERSION',
  environment: 'staging',
  fault: 'partition',
  cache: 'promote',
};

/** The book as it is printed into this repository: with names to fill in. */
export const printedBook = (id: RunbookId): Runbook<World> => buildBook(id, printedParameters(id));

export function printedParameters(id: RunbookId): Parameters {
  const names = new Set(parameterHelp(id).map(({ name }) => name));
  if (id === 'drill') for (const { name } of parameterHelp('region-failover')) names.add(name);
  return Object.fromEntries(Object.entries(placeholders).filter(([name]) => names.has(name)));
}

/** As they are typed. */
export const typedParameters = (parameters: Parameters): string[] =>
  Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
