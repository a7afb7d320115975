/** Objects of Kubernetes extensions against the types and schemas that are published for them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { runCommand } from '../../runbooks/lab/run-command.ts';
import { at, type Manifest } from './manifests.ts';

/** The package of `@kubernetes-models` that has the kinds of an API group. */
const packages: readonly (readonly [group: RegExp, name: string])[] = [
  [/^keda\.sh$/, 'keda'],
  [/^monitoring\.coreos\.com$/, 'prometheus-operator'],
  [/^external-secrets\.io$/, 'external-secrets'],
  [/^gateway\.networking\.k8s\.io$/, 'gateway-api'],
  [/^postgresql\.cnpg\.io$/, 'cloudnative-pg'],
  [/^(cloud\.google\.com|networking\.gke\.io|.*\.cnrm\.cloud\.google\.com)$/, 'gke'],
];

/** Kinds that their group's package does not have. */
const absent = new Set(['MultiClusterIngress', 'MultiClusterService']);

export const kindOf = (object: Manifest): string => `${String(object['apiVersion'])} ${nameOfKind(object)}`;

const nameOfKind = (object: Manifest): string => String(object['kind']);

/** Where the kind is defined; undefined when nobody publishes it. */
export function moduleOf(object: Manifest): string | undefined {
  const apiVersion = String(object['apiVersion']);
  const [group = ''] = apiVersion.split('/');
  const name = packages.find(([pattern]) => pattern.test(group))?.[1];
  if (name === undefined || absent.has(nameOfKind(object))) return undefined;
  return `@kubernetes-models/${name}/${apiVersion}`;
}

/** Values: enumerations, ranges, formats, what must be there. @returns faults, each with the object's name. */
export async function faultsOfValues(objects: readonly Manifest[]): Promise<string[]> {
  const faults: string[] = [];
  for (const object of objects) {
    const kinds: Record<string, unknown> = await import(moduleOf(object) ?? '');
    const model = kinds[nameOfKind(object)];
    if (typeof model !== 'function') throw new Error(`there is no class of ${kindOf(object)}`);
    try {
      validatable.parse(Reflect.construct(model, [object])).validate();
    } catch (error) {
      faults.push(`${kindOf(object)} ${String(at(object, 'metadata.name'))}: ${String(error)}`);
    }
  }
  return faults;
}

const validatable = z.custom<{ validate(): void }>(
  (value) => typeof value === 'object' && value !== null && 'validate' in value,
);

/** A folder in which the packages are found. */
const projectCache = fileURLToPath(new URL('../../.cache/', import.meta.url));
const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
const flags = ['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--ignoreConfig'];

/** Fields: the schemas let unknown ones pass, the types do not. @throws with what the compiler says of them. */
export async function checkFields(objects: readonly Manifest[]): Promise<void> {
  mkdirSync(projectCache, { recursive: true });
  const directory = mkdtempSync(join(projectCache, 'extension-types-'));
  try {
    const statements = objects.map(
      (object) =>
        `(${JSON.stringify(object, null, 1)}) satisfies import('${moduleOf(object)}').I${nameOfKind(object)};`,
    );
    const file = join(directory, 'objects.ts');
    writeFileSync(file, statements.join('\n'));
    await runCommand({ command: compiler, args: [...flags, file] }, { timeoutSeconds: 60 });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
