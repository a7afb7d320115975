import { expect, it } from 'vitest';
import {
  type CallLab,
  isLabVerb,
  type LabServices,
  labVerbs,
  performVerb,
  printedAnswer,
  remoteServices,
} from '../../../runbooks/lab/lab-verbs.ts';

const signal = new AbortController().signal;
const unasked = (): Promise<never> => Promise.reject(new Error('nobody asks for this'));

/** What a lab answers that has hardly anything. */
const bare: LabServices = {
  capacity: { read: async () => ({ ready: 1, needed: 2 }), raise: unasked },
  shares: { read: async () => undefined, set: async () => undefined },
  vitals: async () => ({ requests: 3, errors: 0, addedLatencyMs: undefined }),
  replicas: {
    view: async () => 'absent',
    create: unasked,
    remove: unasked,
    lostWrites: async () => undefined,
    listLostWrites: unasked,
  },
  zones: {
    capacityWithout: unasked,
    raise: unasked,
    isShifted: async () => false,
    shift: unasked,
    endShift: unasked,
    placeOf: async () => undefined,
    move: unasked,
  },
  newestBackup: async () => undefined,
  restores: {
    ways: [],
    view: unasked,
    begin: unasked,
    remove: unasked,
    read: async () => ({ schemaVersion: '1', keys: 0, spendRows: 0, newestSpendAt: undefined }),
  },
  inUse: {
    forgotten: async () => 'none',
    forget: () => Promise.reject(new Error('not asked here')),
    name: async () => undefined,
    use: unasked,
    raise: unasked,
    epochOf: unasked,
    missingSpend: async () => ({ events: undefined, isBeingShipped: true }),
    reingest: unasked,
  },
  credentials: {
    view: async () => ({ current: 'one', pending: undefined, accepted: ['one'], used: [] }),
    stage: unasked,
    accept: unasked,
    handOut: unasked,
    retire: unasked,
  },
  releases: { view: unasked, roll: unasked, schema: unasked, migrate: unasked },
  foundation: {
    view: async () => 'absent',
    build: unasked,
    vault: async () => ({ isUnsealed: true, snapshot: undefined }),
    restoreVault: unasked,
    services: async () => ({ ready: 0, wanted: 2 }),
    applyServices: unasked,
  },
};

/** As over HTTP: everything becomes text on its way. */
const overText =
  (services: LabServices): CallLab =>
  async (verb, args, asked) => {
    const words: unknown = JSON.parse(JSON.stringify(args));
    if (!Array.isArray(words)) throw new Error('no words');
    const answer: unknown = JSON.parse(printedAnswer(await performVerb(services, verb, words, asked)));
    return typeof answer === 'object' && answer !== null && 'answer' in answer ? answer.answer : undefined;
  };

it('what the lab does not have is not there for an operator of another process either', async () => {
  const remote = remoteServices(overText(bare));
  expect(await remote.capacity.read('a', signal)).toEqual(await bare.capacity.read('a', signal));
  expect(await remote.shares.read('a', signal)).toBeUndefined();
  expect(await remote.shares.set('a', 10, signal)).toBeUndefined();
  expect(await remote.vitals('a', 5, signal)).toStrictEqual(await bare.vitals('a', 5, signal));
  expect(await remote.replicas.lostWrites('a', 'b', signal)).toBeUndefined();
  expect(await remote.zones.placeOf('cache', 'a', signal)).toBeUndefined();
  expect(await remote.zones.isShifted('a', 'a1', signal)).toBe(false);
  expect(await remote.newestBackup('redis-rdb', 'a', signal)).toBeUndefined();
  expect(await remote.restores.read('a', 'r', signal)).toStrictEqual(await bare.restores.read('a', 'r', signal));
  expect(await remote.inUse.name('a', signal)).toBeUndefined();
  expect(await remote.inUse.missingSpend('a', signal)).toStrictEqual({ events: undefined, isBeingShipped: true });
  expect(await remote.foundation.view('a', signal)).toBe('absent');
  expect(await remote.foundation.vault('a', signal)).toStrictEqual({ isUnsealed: true, snapshot: undefined });
  expect(await remote.foundation.services('a', signal)).toEqual({ ready: 0, wanted: 2 });
  expect(await remote.credentials.view('cache', 'a', signal)).toStrictEqual(
    await bare.credentials.view('cache', 'a', signal),
  );
});

it.each([
  { events: 'archived', isBeingShipped: false },
  { events: 0, isBeingShipped: false, lost: 3, unfinished: 1 },
] as const)('what archives hold of spend reaches the operator as it is: %o', async (missing) => {
  const inUse = { ...bare.inUse, missingSpend: async () => missing };
  expect(await remoteServices(overText({ ...bare, inUse })).inUse.missingSpend('a', signal)).toStrictEqual(missing);
});

it('a refusal of the lab reaches the operator, and only verbs of the list are carried out', async () => {
  await expect(remoteServices(overText(bare)).capacity.raise('a', 2, signal)).rejects.toThrow('nobody asks for this');
  expect(isLabVerb('constructor')).toBe(false);
  expect(isLabVerb('capacity.constructor')).toBe(false);
  expect(Object.keys(labVerbs).length).toBeGreaterThan(30);
});
