/** The directions of imports, and what may be used where. A rule that must be broken is changed here, with its reason. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { version, youngHeapFlag } from '../gateway/contract.ts';
import packageJson from '../package.json' with { type: 'json' };

const root = fileURLToPath(new URL('..', import.meta.url));

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Project files by path, packages by name. */
  readonly imports: readonly string[];
}

const sources: readonly SourceFile[] = ['bin', 'lib', 'gateway', 'k8s', 'runbooks', 'holdfast.config.ts']
  .flatMap((part) => (part.endsWith('.ts') ? [part] : globSync(`${part}/**/*.ts`, { cwd: root })))
  .map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const found = text.matchAll(
      /(?:^|\n)\s*(?:import|export)[^'"`;]*?from\s*['"]([^'"]+)['"]|import\s*\(?\s*['"]([^'"]+)['"]/g,
    );
    const imports = [...found].map(([, from, bare]) => resolveImport(path, from ?? bare ?? ''));
    return { path, text, imports };
  });

function resolveImport(path: string, target: string): string {
  if (target.startsWith('.')) return normalize(join(dirname(path), target));
  return target.startsWith('@') ? target.split('/').slice(0, 2).join('/') : (target.split('/')[0] ?? target);
}

const isProjectFile = (target: string): boolean => /\.(ts|json|tsx|mjs)$/.test(target);

/**
 * Who may import what inside the project. The first pattern that fits a file is its room; a file may always import from
 * its own room. `*` = everything below.
 */
const rooms: readonly { readonly room: string; readonly may: readonly string[] }[] = [
  { room: 'gateway/contract.ts', may: [] },
  { room: 'runbooks/catalog.ts', may: [] },
  { room: 'holdfast.config.ts', may: ['lib/platform/'] },
  { room: 'bin/', may: ['lib/', 'k8s/', 'runbooks/', 'gateway/', 'holdfast.config.ts'] },
  { room: 'lib/platform/', may: [] },
  { room: 'lib/alerts/', may: ['lib/platform/', 'gateway/contract.ts', 'runbooks/catalog.ts'] },
  { room: 'lib/constructs/', may: ['lib/platform/', 'gateway/contract.ts', 'runbooks/catalog.ts', 'lib/alerts/'] },
  {
    room: 'lib/stacks/',
    may: ['lib/constructs/', 'lib/platform/', 'gateway/contract.ts', 'runbooks/catalog.ts', 'lib/alerts/'],
  },
  { room: 'lib/', may: ['lib/', 'gateway/contract.ts', 'runbooks/catalog.ts'] },
  { room: 'k8s/blocks/', may: ['lib/platform/', 'gateway/contract.ts', 'runbooks/catalog.ts', 'lib/alerts/'] },
  {
    room: 'k8s/charts/',
    may: ['k8s/blocks/', 'lib/platform/', 'gateway/contract.ts', 'runbooks/catalog.ts', 'lib/alerts/'],
  },
  { room: 'k8s/', may: ['k8s/', 'lib/platform/', 'gateway/contract.ts', 'holdfast.config.ts'] },
  { room: 'runbooks/engine/', may: [] },
  {
    room: 'runbooks/books/',
    may: [
      'runbooks/engine/',
      'runbooks/catalog.ts',
      'lib/platform/',
      'gateway/contract.ts',
      'gateway/region/',
      'lib/alerts/',
    ],
  },
  { room: 'runbooks/', may: ['runbooks/', 'lib/platform/', 'gateway/contract.ts', 'gateway/region/', 'lib/alerts/'] },
  // Shared with the runbooks, which change the claim that the gateways obey.
  { room: 'gateway/region/', may: [] },
  { room: 'gateway/domain/', may: [] },
  // What things cost: pure, and needed wherever a price is read, estimated or charged.
  { room: 'gateway/pricing/', may: ['gateway/domain/'] },
  { room: 'gateway/config/', may: ['gateway/domain/', 'gateway/contract.ts', 'gateway/pricing/'] },
  { room: 'gateway/telemetry/', may: ['gateway/domain/', 'gateway/contract.ts'] },
  { room: 'gateway/providers/', may: ['gateway/domain/'] },
  // Keeps answers and shares calls; whom to ask and where to keep are handed in.
  { room: 'gateway/cache/', may: ['gateway/domain/'] },
  { room: 'gateway/dialects/', may: ['gateway/domain/'] },
  { room: 'gateway/routing/', may: ['gateway/domain/'] },
  // Decides about money: it knows no clock, no store and no pipeline, so that a simulation can run the same code.
  { room: 'gateway/admission/', may: ['gateway/domain/'] },
  // Holds the money that PostgreSQL does not have yet: it knows its own files, the words, and nobody else.
  { room: 'gateway/outbox/', may: ['gateway/domain/'] },
  { room: 'gateway/pipeline/', may: ['gateway/domain/', 'gateway/pricing/', 'gateway/routing/', 'gateway/providers/'] },
  // Logs are written everywhere but decide nothing; only their types are imported.
  {
    room: 'gateway/stores/',
    may: ['gateway/domain/', 'gateway/region/', 'gateway/contract.ts', 'gateway/telemetry/log.ts'],
  },
  {
    room: 'gateway/cluster/',
    may: ['gateway/domain/', 'gateway/contract.ts', 'gateway/region/', 'gateway/stores/', 'gateway/telemetry/log.ts'],
  },
  {
    room: 'gateway/http/',
    may: [
      'gateway/domain/',
      'gateway/contract.ts',
      'gateway/pipeline/',
      'gateway/pricing/',
      'gateway/dialects/',
      'gateway/routing/',
      'gateway/telemetry/log.ts',
    ],
  },
  { room: 'gateway/settings', may: ['gateway/contract.ts', 'gateway/telemetry/log.ts'] },
  {
    room: 'gateway/app.ts',
    may: ['gateway/http/', 'gateway/domain/', 'gateway/contract.ts', 'gateway/telemetry/log.ts'],
  },
  { room: 'gateway/', may: ['gateway/'] },
];

/** Packages that only these places may use. */
const packages: Readonly<Record<string, readonly string[]>> = {
  'aws-cdk-lib': ['lib/', 'bin/app.ts', 'bin/synth.ts'],
  'cdk-nag': ['lib/', 'bin/synth.ts'],
  cdk8s: ['k8s/'],
  'cdk8s-plus-28': ['k8s/'],
  pg: ['gateway/stores/', 'runbooks/lab/', 'runbooks/aws/'],
  ioredis: ['gateway/stores/'],
  fastify: ['gateway/app.ts', 'gateway/http/'],
  // The data of both is large: one file each imports it, and only when it is needed.
  '@pydantic/genai-prices': ['gateway/pricing/package-catalog.ts'],
  'gpt-tokenizer': ['gateway/pricing/package-catalog.ts', 'gateway/pipeline/tokenizer.ts'],
  undici: ['gateway/providers/transport.ts', 'gateway/providers/relay.ts'],
  commander: ['bin/'],
};

it('every project import follows the directions of the architecture', () => {
  // Guards the reader of imports: a pattern that finds nothing would find nothing wrong.
  expect(sources.flatMap(({ imports }) => imports).filter(isProjectFile).length).toBeGreaterThan(300);
  const wrong = sources.flatMap((file) => {
    const rule = rooms.find(({ room }) => file.path.startsWith(room));
    if (rule === undefined) return [`${file.path} belongs to no room`];
    return file.imports
      .filter((target) => isProjectFile(target) && target !== 'package.json')
      .filter((target) => !target.startsWith(rule.room) && !rule.may.some((allowed) => target.startsWith(allowed)))
      .map((target) => `${file.path} -> ${target}`);
  });
  expect(wrong).toEqual([]);
});

it('the gateway imports nothing outside itself', () => {
  const wrong = sources
    .filter(({ path }) => path.startsWith('gateway/'))
    .flatMap(({ path, imports }) =>
      imports
        .filter((target) => isProjectFile(target) && !target.startsWith('gateway/'))
        .map((target) => `${path} -> ${target}`),
    );
  expect(wrong).toEqual([]);
});

it('packages with a place of their own are used only there, and @aws-sdk only where AWS is spoken to', () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports
      .filter((target) => {
        const places = target.startsWith('@aws-sdk/')
          ? ['runbooks/aws/', 'gateway/cluster/', 'gateway/region/s3-bucket.ts']
          : packages[target];
        return places !== undefined && !places.some((place) => path.startsWith(place));
      })
      .map((target) => `${path} -> ${target}`),
  );
  expect(wrong).toEqual([]);
});

it('clients of PostgreSQL and Redis are made in one file each, with their timeouts', () => {
  const makers = sources
    .filter(({ path, text }) => path.startsWith('gateway/') && /new (Pool|Client|Redis)\(/.test(text))
    .map(({ path }) => path);
  expect(makers.toSorted()).toEqual([
    'gateway/providers/transport.ts',
    'gateway/stores/postgres.ts',
    'gateway/stores/redis.ts',
  ]);
});

it('process.env is read in gateway/settings.ts and bin alone', () => {
  const readers = sources.filter(({ text }) => /process\.env\b/.test(withoutComments(text))).map(({ path }) => path);
  expect(readers.filter((path) => path !== 'gateway/settings.ts' && !path.startsWith('bin/'))).toEqual([]);
});

it('no file is called utils, helpers or common', () => {
  expect(sources.map(({ path }) => path).filter((path) => /\/(utils?|helpers?|common)\.ts$/.test(path))).toEqual([]);
});

it('the version of the contract is the version of the package', () => {
  expect(version).toBe(packageJson.version);
});

it('npx holdfast starts Node with the heap that the contract states', () => {
  expect(readFileSync(join(root, 'bin/holdfast.mjs'), 'utf8')).toContain(`['${youngHeapFlag}']`);
});

it('every dependency is pinned to an exact version', () => {
  const all = { ...packageJson.dependencies, ...packageJson.devDependencies, ...packageJson.optionalDependencies };
  expect(Object.entries(all).filter(([, range]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(range))).toEqual([]);
});

const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\/|(^|\s)\/\/.*$/gm, '');
