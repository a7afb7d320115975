import { createHmac } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../../../gateway/domain/identity.ts';
import { SnapshotFile } from '../../../gateway/stores/snapshot.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const parent = await temporaryDirectory();
let count = 0;
let directory: string;
let file: string;
beforeEach(() => {
  directory = join(parent, String(count++), 'made-by-the-first-save');
  file = join(directory, 'snapshot.json');
});

const versioned = { revision: 3, deleted: false };
const none = { budget: [], organization: [], user: [], team: [], member: [], endUser: [], key: [] };
const keys: readonly Records['key'][] = [
  {
    ...versioned,
    keyHash: 'a'.repeat(64),
    keyId: 'a'.repeat(64),
    keyName: 'sk-...abcd',
    keyAlias: 'team "a" é',
    role: 'admin',
    models: ['x', 'y/*'],
    blocked: true,
    expiresAtMs: 1_900_000_000_000,
    teamId: 'team',
    userId: 'user',
    budgetId: 'budget',
    limits: { maxMicros: 5, duration: '30d', models: { x: { requestsPerMinute: 1 } } },
    rules: { aliases: { a: 'x' }, allowedRoutes: ['/key/*'], tags: ['t'], disableFallbacks: true },
  },
  {
    ...versioned,
    deleted: true,
    keyHash: 'b'.repeat(64),
    keyId: 'b'.repeat(64),
    keyName: 'sk-...',
    role: 'caller',
    models: [],
    blocked: false,
    limits: {},
    rules: {},
  },
];
const snapshot = {
  savedAtMs: 1_700_000_000_000,
  content: {
    budget: [{ ...versioned, budgetId: 'budget', limits: { softMicros: 1 } }],
    organization: [{ ...versioned, organizationId: 'o', models: ['x'], blocked: false, limits: {} }],
    user: [{ ...versioned, userId: 'user', userRole: 'internal_user', models: [], blocked: false, limits: {} }],
    team: [{ ...versioned, teamId: 'team', organizationId: 'o', models: [], blocked: true, limits: {}, rules: {} }],
    member: [{ ...versioned, teamId: 'team', userId: 'user', role: 'admin', limits: { maxMicros: 1 } }],
    endUser: [{ ...versioned, endUserId: 'e', blocked: false, limits: {}, rules: {} }],
    key: keys,
  },
  whole: ['team', 'key'],
} as const satisfies Parameters<SnapshotFile['save']>[0];

describe.each([
  ['with a secret', 'a-secret-of-the-installation'],
  ['with a key of its own', undefined],
])('a snapshot signed %s', (_case, secret) => {
  it('is read by a later process as it was', async () => {
    await new SnapshotFile(directory, secret).save(snapshot);
    expect(await new SnapshotFile(directory, secret).load()).toEqual(snapshot);
  });

  it('is replaced as a whole, and leaves nothing beside it', async () => {
    const saved = new SnapshotFile(directory, secret);
    await saved.save(snapshot);
    await saved.save({ ...snapshot, savedAtMs: 5, content: none });
    expect(await saved.load()).toEqual({ ...snapshot, savedAtMs: 5, content: none });
    expect((await readdir(directory)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('can be read by its owner only', async () => {
    await new SnapshotFile(directory, secret).save(snapshot);
    for (const name of await readdir(directory)) {
      expect((await stat(join(directory, name))).mode & 0o077).toBe(0);
    }
  });

  it('that is not there is none', async () => {
    expect(await new SnapshotFile(directory, secret).load()).toBeUndefined();
  });

  it('that was edited is none: nobody makes a key with an editor', async () => {
    const saved = new SnapshotFile(directory, secret);
    await saved.save(snapshot);
    const text = await readFile(file, 'utf8');
    const edits = [
      text.replace('b'.repeat(64), 'c'.repeat(64)),
      text.replace(String.raw`\"caller\"`, String.raw`\"admin\"`),
      text.replace(String.raw`\"blocked\":true`, String.raw`\"blocked\":false`),
      text.replace(/"signature":"[0-9a-f]{64}"/, `"signature":"${'0'.repeat(64)}"`),
      text.replace(/"signature":"[0-9a-f]{64}"/, '"signature":""'),
      text.replace('"version":2', '"version":1'),
      text.replace('"version":2', '"version":3'),
    ];
    for (const edited of edits) {
      expect(edited).not.toBe(text);
      await writeFile(file, edited);
      expect(await saved.load()).toBeUndefined();
    }
  });

  it('that is cut, empty or something else is none', async () => {
    const saved = new SnapshotFile(directory, secret);
    await saved.save(snapshot);
    const text = await readFile(file, 'utf8');
    for (const broken of [text.slice(0, text.length / 2), text.slice(0, -1), '', 'null', '[]', '{}']) {
      await writeFile(file, broken);
      expect(await saved.load()).toBeUndefined();
    }
  });

  it('a write that was killed half-way leaves the former one', async () => {
    const saved = new SnapshotFile(directory, secret);
    await saved.save(snapshot);
    await writeFile(join(directory, 'snapshot.999.tmp'), '{"version":1,"signa');
    expect(await saved.load()).toEqual(snapshot);
  });
});

it('a snapshot of another installation is none', async () => {
  await new SnapshotFile(directory, 'one-secret').save(snapshot);
  expect(await new SnapshotFile(directory, 'another-secret').load()).toBeUndefined();
  expect(await new SnapshotFile(directory, undefined).load()).toBeUndefined();
});

describe('the key of its own', () => {
  it('is one key, however many processes make it at once', async () => {
    await mkdir(directory, { recursive: true });
    const all = Array.from({ length: 10 }, () => new SnapshotFile(directory, undefined));
    await Promise.all(all.map((each) => each.save(snapshot)));
    for (const each of all) expect(await each.load()).toEqual(snapshot);
    expect((await readdir(directory)).toSorted()).toEqual(['snapshot.json', 'snapshot.key']);
  });

  it.each(['', 'cut', 'z'.repeat(64)])('that reads %j is replaced, since anybody could guess it', async (broken) => {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'snapshot.key'), broken);
    await new SnapshotFile(directory, undefined).save(snapshot);
    expect(await readFile(join(directory, 'snapshot.key'), 'utf8')).toMatch(/^[0-9a-f]{64}$/);
    expect(await new SnapshotFile(directory, undefined).load()).toEqual(snapshot);
  });
});

describe('a file of the version before', () => {
  const content = JSON.stringify({
    savedAtMs: 7,
    keys: [{ keyHash: 'c'.repeat(64), keyAlias: 'old', role: 'caller', models: ['m'], blocked: false }],
  });
  const write = async (signed: string): Promise<void> => {
    await mkdir(directory, { recursive: true });
    const signature = createHmac('sha256', 'secret').update(signed).digest('hex');
    await writeFile(file, JSON.stringify({ version: 1, signature, content }));
  };

  it('still loads: its keys belong to nothing, and any row of the database is newer', async () => {
    await write(content);
    expect(await new SnapshotFile(directory, 'secret').load()).toEqual({
      savedAtMs: 7,
      whole: [],
      content: {
        ...none,
        key: [
          {
            keyHash: 'c'.repeat(64),
            keyId: 'c'.repeat(64),
            keyName: 'sk-...',
            keyAlias: 'old',
            role: 'caller',
            models: ['m'],
            blocked: false,
            limits: {},
            rules: {},
            revision: 0,
            deleted: false,
          },
        ],
      },
    });
  });

  it('with a wrong signature is none', async () => {
    await write(`${content} `);
    expect(await new SnapshotFile(directory, 'secret').load()).toBeUndefined();
  });
});
