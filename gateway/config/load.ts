/** From the text of a `config.yaml` to what the gateway runs on; every fault at once, or none. */
import { type BuildOptions, buildConfig, buildDeployments } from './build.ts';
import { type ConfigFault, type ConfigPath, formatPath, parseConfigDocument } from './document.ts';
import { type Environment, resolveEnvironment } from './environment.ts';
import { faultsOf } from './faults.ts';
import type { GatewayConfig } from './gateway-config.ts';
import { withOverrides } from './overrides.ts';
import { modelEntry } from './schema/model-entry.ts';
import { routerSettings } from './schema/router-settings.ts';
import { configSchema, knownKeys } from './schema.ts';

export interface LoadedConfig {
  readonly config: GatewayConfig;
  /** What was accepted but deserves a look: unknown keys, deployments left out. */
  readonly warnings: readonly ConfigFault[];
}

/** A config that cannot be used. The message lists every fault with its line and its mend; it holds no secret. */
export class ConfigError extends Error {
  readonly faults: readonly ConfigFault[];
  constructor(source: string, faults: readonly ConfigFault[]) {
    const lines = faults.map((fault) => `  ${formatFault(source, fault)}`);
    super(`${source} has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${lines.join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/** `config.yaml:12 model_list[0].model_name: is missing; write ...` */
export const formatFault = (source: string, fault: ConfigFault): string =>
  `${source}${fault.line === undefined ? '' : `:${fault.line}`} ${fault.path}: ${fault.message}`;

export interface LoadOptions {
  /** Shown in faults. */
  readonly source: string;
  readonly environment: Environment;
  /** Addresses that answer for every deployment instead of its provider: the demo. */
  readonly demoUpstreams?: readonly string[];
  /** Entries of `model_list` from elsewhere: deployments that were made over the API. They follow those of the file. */
  readonly moreModels?: readonly unknown[];
}

/** @throws ConfigError with all faults. */
export function loadConfig(text: string, options: LoadOptions): LoadedConfig {
  const document = parseConfigDocument(text);
  if (document.faults.length > 0) throw new ConfigError(options.source, document.faults);
  const environment = withFileVariables(document.value, options.environment);
  const { value: overridden, applied } = withOverrides(document.value, environment);
  const resolved = resolveEnvironment(withModels(overridden, options.moreModels ?? []), environment);
  const parsed = configSchema.safeParse(resolved.value);
  // A missing variable outside model_list gets its own fault below; the same field is not reported twice.
  const unset = new Set(
    resolved.missing.filter(({ path }) => path[0] !== 'model_list').map(({ path }) => formatPath(path)),
  );
  const faults: ConfigFault[] = parsed.success
    ? []
    : faultsOf(parsed.error, document, resolved.value).filter((fault) => !unset.has(fault.path));
  const warnings: ConfigFault[] = unknownKeys(document.value, '', []).map((path) => ({
    path: formatPath(path),
    line: document.lineOf(path),
    message: 'is not a key this version acts on; it is ignored',
  }));
  // A missing variable inside a deployment leaves that deployment out; anywhere else it would change what was asked for.
  for (const { path, variable } of resolved.missing) {
    if (path[0] === 'model_list') continue;
    faults.push({
      path: formatPath(path),
      line: document.lineOf(path),
      message: `the environment variable ${variable} is not set; set it, or remove the line`,
    });
  }
  const missingVariables = new Map(
    resolved.missing.flatMap(({ path, variable }) =>
      path[0] === 'model_list' && typeof path[1] === 'number' ? [[path[1], variable] as const] : [],
    ),
  );
  // What a variable says stands in no line.
  const variableAt = new Map(
    applied.flatMap(({ variable, paths }) => paths.map((path) => [formatPath(path), variable])),
  );
  const located = (fault: { path: ConfigPath; message: string }): ConfigFault => ({
    path: formatPath(fault.path),
    line: document.lineOf(fault.path),
    message: fault.message,
  });
  const buildOptions = { ...options, environment, missingVariables };
  if (!parsed.success) {
    // Entries that can be read on their own are looked at too, so that all faults come at once.
    faults.push(...faultsOfReadable(resolved.value, buildOptions).map(located));
  } else {
    const built = buildConfig(parsed.data, buildOptions);
    faults.push(...built.faults.map(located));
    warnings.push(...built.warnings.map(located));
    if (faults.length === 0) return { config: built.config, warnings };
  }
  const own = ownModels(overridden).length;
  throw new ConfigError(
    options.source,
    faults.map((fault) => {
      const variable = variableAt.get(fault.path);
      if (variable !== undefined) return { ...fault, path: `${variable} (${fault.path})`, line: undefined };
      const index = Number(/^model_list\[(\d+)\]/.exec(fault.path)?.[1] ?? -1);
      return index >= own && index - own < (options.moreModels?.length ?? 0) ? { ...fault, added: index - own } : fault;
    }),
  );
}

function withModels(value: unknown, more: readonly unknown[]): unknown {
  if (more.length === 0 || typeof value !== 'object' || value === null) return value;
  return { ...value, model_list: [...ownModels(value), ...more] };
}

function ownModels(value: unknown): readonly unknown[] {
  const list = memberOf(value, 'model_list');
  return Array.isArray(list) ? list : [];
}

/** `environment_variables` of the file, under the process's own: those win, unless somebody left them blank. */
function withFileVariables(value: unknown, environment: Environment): Environment {
  const block = memberOf(value, 'environment_variables');
  if (typeof block !== 'object' || block === null) return environment;
  const own = Object.fromEntries(Object.entries(environment).filter(([, item]) => item !== undefined && item !== ''));
  const resolved = resolveEnvironment(block, own).value;
  const ofFile = Object.entries(typeof resolved === 'object' && resolved !== null ? resolved : {}).flatMap(
    ([key, item]) => (item === undefined ? [] : [[key, String(item)]]),
  );
  return { ...Object.fromEntries(ofFile), ...own };
}

function faultsOfReadable(value: unknown, options: BuildOptions): readonly { path: ConfigPath; message: string }[] {
  const list = memberOf(value, 'model_list');
  if (!Array.isArray(list)) return [];
  const router = routerSettings.safeParse(memberOf(value, 'router_settings'));
  const entries = list.flatMap((item, index) => {
    const entry = modelEntry.safeParse(item);
    return entry.success ? [[index, entry.data] as const] : [];
  });
  return buildDeployments(entries, router.success ? router.data : {}, 1, options).faults;
}

const memberOf = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;

/** Paths of keys that no block knows. */
function unknownKeys(value: unknown, block: string, path: readonly (string | number)[]): (string | number)[][] {
  if (Array.isArray(value)) return value.flatMap((item, index) => unknownKeys(item, `${block}[]`, [...path, index]));
  const known = knownKeys[block];
  if (typeof value !== 'object' || value === null || known === undefined) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    known.includes(key) ? unknownKeys(item, block === '' ? key : `${block}.${key}`, [...path, key]) : [[...path, key]],
  );
}
