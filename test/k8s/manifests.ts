import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { synthesizeManifests } from '../../k8s/app.ts';
import type { Platform } from '../../lib/platform/platform.ts';

/** A field of a parsed manifest, reached by `at`. */
export type Manifest = Readonly<Record<string, unknown>>;

const manifest = z.record(z.string(), z.unknown());
const tree = z.union([z.record(z.string(), z.unknown()), z.array(z.unknown())]);

/** Synthesizes into a folder that is gone afterwards; the texts by path, in the order in which they are applied. */
export function synthesizedTexts(platform: Platform, config?: string): Map<string, string> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-k8s-'));
  try {
    synthesizeManifests(platform, directory, config);
    const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.yaml'),
    );
    return new Map(files.sort().map((file) => [file, readFileSync(join(directory, file), 'utf8')]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Syntheses of this test file, which asks for the same platforms again and again; nobody changes what it gets. */
const known = new WeakMap<Platform, ReadonlyMap<string, string>>();

/** All objects of a region, in the order in which `kubectl apply` takes them. */
export function objectsOf(platform: Platform, region: string, config?: string): Manifest[] {
  const texts = (config === undefined ? known.get(platform) : undefined) ?? synthesizedTexts(platform, config);
  if (config === undefined) known.set(platform, texts);
  return [...texts]
    .filter(([file]) => file.startsWith(`${region}/`))
    .flatMap(([, text]) => parseAllDocuments(text).map((document) => manifest.parse(document.toJS())));
}

/** The object of a kind; by name, where there are several. */
export function find(objects: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || at(object, 'metadata.name') === name),
  );
  const [only] = found;
  if (only === undefined || found.length > 1) throw new Error(`${found.length} objects ${kind} ${name ?? ''}`);
  return only;
}

/** The migration among the jobs: it is named after the image. */
export const migrationOf = (objects: readonly Manifest[]): Manifest =>
  find(
    objects.filter((object) => String(at(object, 'metadata.name')).startsWith('gateway-migrate-')),
    'Job',
  );

/** A field by its path, for example `spec.template.spec.containers.0.image`; undefined when it is not there. */
export function at(object: unknown, path: string): unknown {
  let current: unknown = object;
  for (const step of path.split('.')) {
    const parsed = tree.safeParse(current);
    if (!parsed.success) return undefined;
    current = Array.isArray(parsed.data) ? parsed.data[Number(step)] : parsed.data[step];
  }
  return current;
}

/** A list by its path; empty when it is not there. */
export function listAt(object: unknown, path: string): unknown[] {
  const found = at(object, path);
  return Array.isArray(found) ? found : [];
}

/** Where a kind keeps its pods' specification. */
const podPaths: Readonly<Record<string, string>> = {
  Deployment: 'spec.template',
  StatefulSet: 'spec.template',
  DaemonSet: 'spec.template',
  Job: 'spec.template',
  CronJob: 'spec.jobTemplate.spec.template',
};

/** The pod template of an object: its `metadata` and `spec`; undefined for what makes no pods. */
export const podTemplate = (object: Manifest): unknown => {
  const path = podPaths[String(object.kind)];
  return path === undefined ? undefined : at(object, path);
};

/** True when an object with these labels is selected. */
export function selects(selector: unknown, labels: unknown): boolean {
  const wanted = z.record(z.string(), z.string()).parse(selector ?? {});
  return Object.entries(wanted).every(
    ([name, value]) => z.record(z.string(), z.string()).parse(labels)[name] === value,
  );
}

/** True when a pod selector, as a network policy has it, selects a pod with these labels. */
export function selectsPod(selector: unknown, labels: unknown): boolean {
  const absent = listAt(selector, 'matchExpressions').map((expression) => {
    if (at(expression, 'operator') !== 'DoesNotExist') throw new Error('the model does not know this operator');
    return z.string().parse(at(expression, 'key'));
  });
  return selects(at(selector, 'matchLabels'), labels) && absent.every((key) => !Object.hasOwn(Object(labels), key));
}

/** A field that must be a number. */
export const numberAt = (object: unknown, path: string): number => z.number().parse(at(object, path));
