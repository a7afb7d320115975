/** Where each setting of a configuration comes from: a line of the file, a variable that it names, or one in its place. */
import { type ConfigFault, formatPath, parseConfigDocument } from './document.ts';
import { type Environment, prefix } from './environment.ts';
import { ConfigError } from './load.ts';
import { withOverrides } from './overrides.ts';

export interface Explained {
  readonly setting: string;
  /** Masked where it is a secret. */
  readonly value: string;
  readonly from: string;
}

const secretName = /key|secret|password|token|credential|authorization|cookie|url|dsn/i;
const harmlessName = /_per_token|_tokens|api_base|base_url|key_alias|_key_header|key_generat|num_|_seconds/i;

/** Whether a value of this name is not to be shown. */
export const isSecret = (name: string): boolean => secretName.test(name) && !harmlessName.test(name);

const longestShown = 80;

/** For people: a secret is never in it, and neither are a URL's credentials. */
export function shownValue(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null');
  if (/^\w+:\/\/[^/]*@/.test(text)) return text.replace(/^(\w+:\/\/)[^/]*@/, '$1***@').replace(/\?.*$/, '?***');
  if (isSecret(name) && typeof value === 'string') return '***';
  return text.length > longestShown ? `${text.slice(0, longestShown)}...` : text;
}

/** @throws ConfigError for a text that is no YAML. */
export function explainConfig(text: string, source: string, environment: Environment): Explained[] {
  const document = parseConfigDocument(text);
  const faults: readonly ConfigFault[] = document.faults;
  if (faults.length > 0) throw new ConfigError(source, faults);
  const { value, applied } = withOverrides(document.value, environment);
  const variables = new Map(
    applied.flatMap(({ variable, paths }) => paths.map((path) => [formatPath(path), variable])),
  );
  return leavesOf(value, []).map(({ path, leaf }) => {
    const setting = formatPath(path);
    const name = path.findLast((step) => typeof step === 'string') ?? '';
    const variable = variables.get(formatPath(path.slice(0, 2)));
    const line = document.lineOf(path);
    const place = line === undefined ? source : `${source}:${line}`;
    if (variable !== undefined) return { setting, value: shownValue(name, leaf), from: variable };
    if (typeof leaf !== 'string' || !leaf.startsWith(prefix)) {
      return { setting, value: shownValue(name, leaf), from: place };
    }
    const named = leaf.slice(prefix.length);
    const found = environment[named] ?? '';
    // What a variable holds is shown only where nobody would keep it there to hide it.
    const shown = found === '' ? '(not set)' : isSecret(`${name} ${named}`) ? '***' : shownValue(name, found);
    return { setting, value: shown, from: `${named}, named in ${place}` };
  });
}

function leavesOf(
  value: unknown,
  path: readonly (string | number)[],
): { readonly path: readonly (string | number)[]; readonly leaf: unknown }[] {
  if (Array.isArray(value) && value.some((item) => typeof item === 'object')) {
    return value.flatMap((item, index) => leavesOf(item, [...path, index]));
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, item]) => leavesOf(item, [...path, key]));
  }
  return [{ path, leaf: value }];
}
