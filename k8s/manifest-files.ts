/** Writes manifests so that the same objects always give the same bytes, and takes back what is no longer made. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Chart, Yaml } from 'cdk8s';

/** The first line of each file that we made, and the only ones that we ever remove. */
const mark = '# Made by Holdfast from holdfast.config.ts. Do not edit: the next synthesis overwrites it.\n';

/** File of a manifest relative to the output folder, for example `us-east-1/30-gateway.yaml`. */
export interface ManifestFile {
  readonly path: string;
  readonly chart: Chart;
}

/**
 * Writes the files, and those that `besides` makes of their objects, and removes those of earlier runs. Returns the
 * objects of each file, in order.
 */
export function writeManifests(
  directory: string,
  files: readonly ManifestFile[],
  besides: (objects: ReadonlyMap<string, ManifestObject[]>) => ReadonlyMap<string, string> = () => new Map(),
): Map<string, ManifestObject[]> {
  const written = new Map(files.map(({ path, chart }) => [path, manifestObjects(chart)]));
  const texts = new Map([...written].map(([path, objects]) => [path, Yaml.stringify(...objects)]));
  for (const [path, text] of [...texts, ...besides(written)]) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), mark + text);
    texts.set(path, text);
  }
  removeStale(directory, new Set(texts.keys()));
  return written;
}

/** The part of every Kubernetes object that we look at. */
export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

const manifestObjects = (chart: Chart): ManifestObject[] => chart.toJson();

/** Takes back what an earlier run wrote, at any depth, and the folders that are empty afterwards. */
function removeStale(directory: string, current: ReadonlySet<string>, within = ''): void {
  const folder = join(directory, within);
  const entries = readdirSync(folder, { withFileTypes: true });
  for (const entry of entries) {
    const path = within === '' ? entry.name : `${within}/${entry.name}`;
    if (entry.isDirectory()) removeStale(directory, current, path);
    else if (path.endsWith('.yaml') && !current.has(path) && isOurs(join(directory, path)))
      rmSync(join(directory, path));
  }
  const emptied = entries.length > 0 && readdirSync(folder).length === 0;
  if (emptied && within !== '') rmSync(folder, { recursive: true });
}

const isOurs = (path: string): boolean => readFileSync(path, 'utf8').startsWith(mark);
