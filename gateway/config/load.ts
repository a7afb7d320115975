/** From the text of a `config.yaml` to what the gateway runs on; every fault at once, or none. */
import { buildConfig } from './build.ts';
import { type ConfigFault, formatPath, parseConfigDocument } from './document.ts';
import { type Environment, resolveEnvironment } from './environment.ts';
import { faultsOf } from './faults.ts';
import type { GatewayConfig } from './gateway-config.ts';
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
}

/** @throws ConfigError with all faults. */
export function loadConfig(text: string, options: LoadOptions): LoadedConfig {
  const document = parseConfigDocument(text);
  if (document.faults.length > 0) throw new ConfigError(options.source, document.faults);
  const environment = { ...environmentVariables(document.value), ...options.environment };
  const resolved = resolveEnvironment(document.value, environment);
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
  if (parsed.success) {
    const built = buildConfig(parsed.data, { ...options, environment, missingVariables });
    const located = (fault: { path: readonly (string | number)[]; message: string }): ConfigFault => ({
      path: formatPath(fault.path),
      line: document.lineOf(fault.path),
      message: fault.message,
    });
    faults.push(...built.faults.map(located));
    warnings.push(...built.warnings.map(located));
    if (faults.length === 0) return { config: built.config, warnings };
  }
  throw new ConfigError(options.source, faults);
}

/** `environment_variables` of the file; the process's own variables win over them. */
function environmentVariables(value: unknown): Record<string, string> {
  const block: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, 'environment_variables') : undefined;
  if (typeof block !== 'object' || block === null) return {};
  return Object.fromEntries(Object.entries(block).map(([key, item]) => [key, String(item)]));
}

/** Paths of keys that no block knows. */
function unknownKeys(value: unknown, block: string, path: readonly (string | number)[]): (string | number)[][] {
  if (Array.isArray(value)) return value.flatMap((item, index) => unknownKeys(item, `${block}[]`, [...path, index]));
  const known = knownKeys[block];
  if (typeof value !== 'object' || value === null || known === undefined) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    known.includes(key) ? unknownKeys(item, block === '' ? key : `${block}.${key}`, [...path, key]) : [[...path, key]],
  );
}
