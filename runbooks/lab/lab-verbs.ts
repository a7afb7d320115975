/**
 * What an operator of another process asks the lab's own process for, as AWS' control plane would be asked. Everything else
 * (claims, databases, takeover objects, gateways) he reaches by its own protocol.
 */
import { z } from 'zod';
import type { World } from '../books/world.ts';

export type LabServices = Pick<
  World,
  | 'capacity'
  | 'shares'
  | 'vitals'
  | 'replicas'
  | 'zones'
  | 'newestBackup'
  | 'restores'
  | 'inUse'
  | 'credentials'
  | 'releases'
  | 'foundation'
>;

/** Known without asking. */
export const labRestoreWays: LabServices['restores']['ways'] = ['snapshot', 'point-in-time', 'dump'];

const nothing = z.undefined();
const capacity = z.object({ ready: z.number(), needed: z.number() });
const progress = z.enum(['absent', 'creating', 'ready']);
const texts = z.array(z.string());
const backup = z.object({ id: z.string(), takenAt: z.string(), ageSeconds: z.number() });

/** Verbs with what they answer. A member that may be missing is nullable: JSON has no undefined. */
export const labVerbs = {
  'capacity.read': capacity,
  'capacity.raise': nothing,
  'shares.read': z.number().optional(),
  'shares.set': nothing,
  vitals: z.object({ requests: z.number(), errors: z.number(), addedLatencyMs: z.number().nullable() }),
  'replicas.view': progress,
  'replicas.create': nothing,
  'replicas.remove': nothing,
  'replicas.lostWrites': z.object({ count: z.number(), report: z.string() }).optional(),
  'replicas.listLostWrites': nothing,
  'zones.capacityWithout': capacity,
  'zones.raise': nothing,
  'zones.isShifted': z.boolean(),
  'zones.shift': nothing,
  'zones.endShift': nothing,
  'zones.placeOf': z.object({ zone: z.string(), isMoving: z.boolean() }).optional(),
  'zones.move': nothing,
  newestBackup: backup.optional(),
  'restores.view': progress,
  'restores.begin': nothing,
  'restores.remove': nothing,
  'restores.read': z.object({
    schemaVersion: z.string(),
    keys: z.number(),
    spendRows: z.number(),
    newestSpendAt: z.string().nullable(),
  }),
  'inUse.name': z.string().optional(),
  'inUse.use': nothing,
  'inUse.forgotten': z.enum(['none', 'some', 'all']),
  'inUse.forget': nothing,
  'inUse.raise': nothing,
  'inUse.epochOf': z.number(),
  'inUse.missingSpend': z.object({
    events: z.union([z.number(), z.literal('archived')]).nullable(),
    isBeingShipped: z.boolean(),
    lost: z.number().optional(),
    unfinished: z.number().optional(),
  }),
  'inUse.reingest': nothing,
  'credentials.view': z.object({
    current: z.string(),
    pending: z.string().nullable(),
    accepted: texts,
    used: texts,
  }),
  'credentials.stage': nothing,
  'credentials.accept': nothing,
  'credentials.handOut': nothing,
  'credentials.retire': nothing,
  'releases.view': z.object({ image: z.string(), isRolledOut: z.boolean() }),
  'releases.roll': nothing,
  'releases.schema': z.object({ there: z.string(), wanted: z.string() }),
  'releases.migrate': nothing,
  'foundation.view': progress,
  'foundation.build': nothing,
  'foundation.vault': z.object({ isUnsealed: z.boolean(), snapshot: z.string().nullable() }),
  'foundation.restoreVault': nothing,
  'foundation.services': z.object({ ready: z.number(), wanted: z.number() }),
  'foundation.applyServices': nothing,
} as const;

export type LabVerb = keyof typeof labVerbs;
type Answers = { readonly [Verb in LabVerb]: z.output<(typeof labVerbs)[Verb]> };
const answers: { readonly [Verb in LabVerb]: z.ZodType<Answers[Verb]> } = labVerbs;

export const isLabVerb = (name: string): name is LabVerb => Object.hasOwn(labVerbs, name);

/** Carries one out where the lab is. @throws what it throws. */
export async function performVerb(
  services: LabServices,
  verb: LabVerb,
  args: readonly unknown[],
  signal: AbortSignal,
): Promise<unknown> {
  const [group = '', method] = verb.split('.');
  const owner: unknown = method === undefined ? services : Reflect.get(services, group);
  if (typeof owner !== 'object' || owner === null) throw new Error(`the lab has no ${group}`);
  const work: unknown = Reflect.get(owner, method ?? group);
  if (typeof work !== 'function') throw new Error(`the lab cannot do ${verb}`);
  return Reflect.apply(work, owner, [...args, signal]);
}

/** JSON with null where a member of an answer has no value, and nothing where there is no answer. */
export const printedAnswer = (answer: unknown): string =>
  JSON.stringify({ answer }, (_, value: unknown) => (value === undefined ? null : value));

/** Asks the lab's process; resolves with what `printedAnswer` had printed. */
export type CallLab = (verb: LabVerb, args: readonly unknown[], signal: AbortSignal) => Promise<unknown>;

/** The services as an operator of another process has them. */
export function remoteServices(callLab: CallLab): LabServices {
  const call = async <Verb extends LabVerb>(
    verb: Verb,
    args: readonly unknown[],
    signal: AbortSignal,
  ): Promise<Answers[Verb]> => answers[verb].parse((await callLab(verb, args, signal)) ?? undefined);
  return {
    capacity: {
      read: (region, signal) => call('capacity.read', [region], signal),
      raise: (region, to, signal) => call('capacity.raise', [region, to], signal),
    },
    shares: {
      read: (region, signal) => call('shares.read', [region], signal),
      set: (region, percent, signal) => call('shares.set', [region, percent], signal),
    },
    vitals: async (region, windowSeconds, signal) => {
      const found = await call('vitals', [region, windowSeconds], signal);
      return { ...found, addedLatencyMs: found.addedLatencyMs ?? undefined };
    },
    replicas: {
      view: (region, source, signal) => call('replicas.view', [region, source], signal),
      create: (region, source, token, signal) => call('replicas.create', [region, source, token], signal),
      remove: (region, source, signal) => call('replicas.remove', [region, source], signal),
      lostWrites: (region, survivor, signal) => call('replicas.lostWrites', [region, survivor], signal),
      listLostWrites: (region, survivor, token, signal) =>
        call('replicas.listLostWrites', [region, survivor, token], signal),
    },
    zones: {
      capacityWithout: (region, zone, signal) => call('zones.capacityWithout', [region, zone], signal),
      raise: (region, zone, to, signal) => call('zones.raise', [region, zone, to], signal),
      isShifted: (region, zone, signal) => call('zones.isShifted', [region, zone], signal),
      shift: (region, zone, minutes, token, signal) => call('zones.shift', [region, zone, minutes, token], signal),
      endShift: (region, zone, signal) => call('zones.endShift', [region, zone], signal),
      placeOf: (store, region, signal) => call('zones.placeOf', [store, region], signal),
      move: (store, region, token, signal) => call('zones.move', [store, region, token], signal),
    },
    newestBackup: (kind, region, signal) => call('newestBackup', [kind, region], signal),
    restores: {
      ways: labRestoreWays,
      view: (region, name, signal) => call('restores.view', [region, name], signal),
      begin: (request, token, signal) => call('restores.begin', [request, token], signal),
      remove: (region, name, signal) => call('restores.remove', [region, name], signal),
      read: async (region, name, signal) => {
        const found = await call('restores.read', [region, name], signal);
        return { ...found, newestSpendAt: found.newestSpendAt ?? undefined };
      },
    },
    inUse: {
      name: (region, signal) => call('inUse.name', [region], signal),
      use: (region, name, token, signal) => call('inUse.use', [region, name, token], signal),
      forgotten: (region, name, signal) => call('inUse.forgotten', [region, name], signal),
      forget: (region, name, signal) => call('inUse.forget', [region, name], signal),
      raise: (region, name, epoch, writer, signal) => call('inUse.raise', [region, name, epoch, writer], signal),
      epochOf: (region, name, signal) => call('inUse.epochOf', [region, name], signal),
      missingSpend: async (region, signal) => {
        const found = await call('inUse.missingSpend', [region], signal);
        return { ...found, events: found.events ?? undefined };
      },
      reingest: (region, token, signal) => call('inUse.reingest', [region, token], signal),
    },
    credentials: {
      view: async (credential, region, signal) => {
        const found = await call('credentials.view', [credential, region], signal);
        return { ...found, pending: found.pending ?? undefined };
      },
      stage: (credential, region, version, signal) => call('credentials.stage', [credential, region, version], signal),
      accept: (credential, region, version, signal) =>
        call('credentials.accept', [credential, region, version], signal),
      handOut: (credential, region, version, signal) =>
        call('credentials.handOut', [credential, region, version], signal),
      retire: (credential, region, version, signal) =>
        call('credentials.retire', [credential, region, version], signal),
    },
    releases: {
      view: (part, signal) => call('releases.view', [part], signal),
      roll: (part, image, token, signal) => call('releases.roll', [part, image, token], signal),
      schema: (image, signal) => call('releases.schema', [image], signal),
      migrate: (image, token, signal) => call('releases.migrate', [image, token], signal),
    },
    foundation: {
      view: (region, signal) => call('foundation.view', [region], signal),
      build: (region, token, signal) => call('foundation.build', [region, token], signal),
      vault: async (region, signal) => {
        const found = await call('foundation.vault', [region], signal);
        return { ...found, snapshot: found.snapshot ?? undefined };
      },
      restoreVault: (region, snapshot, token, signal) =>
        call('foundation.restoreVault', [region, snapshot, token], signal),
      services: (region, signal) => call('foundation.services', [region], signal),
      applyServices: (region, token, signal) => call('foundation.applyServices', [region, token], signal),
    },
  };
}
