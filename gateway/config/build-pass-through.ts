/** From `pass_through_endpoints`, and from deployments that lend their key, to the paths that are sent on as they are. */
import type { Deployment } from '../domain/deployment.ts';
import { operationNames, specOf } from '../domain/operation.ts';
import { type PassThroughEndpoint, passThroughMethods } from '../domain/pass-through.ts';
import { isListed, keyHeaders, shownAddress } from './build-deployment.ts';
import type { ConfigPath } from './document.ts';
import { type Environment, prefix } from './environment.ts';
import { providers } from './providers.ts';
import type { PassThroughEntry } from './schema.ts';

export interface PassThroughOptions {
  readonly environment: Environment;
  /** When an entry states none. */
  readonly timeoutSeconds: number;
}

interface Finding {
  readonly path: ConfigPath;
  readonly message: string;
}

interface BuiltPassThrough {
  readonly endpoints: readonly PassThroughEndpoint[];
  readonly faults: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** First parts of the gateway's own paths, now and as LiteLLM has them: they must not be hidden by somebody else's. */
const reserved =
  /^\/(v1\/)?(health|metrics|key|team|user|organization|customer|budget|spend|global|cache|models?|model_group|config|ui|sso|routes|openapi\.json|docs)(\/|$)/;

/** Paths that reach a model: an endpoint may take one over. */
const modelPaths: ReadonlySet<string> = new Set(
  [...operationNames.map((name) => specOf(name).path), '/messages', '/responses', '/completions'].flatMap((path) => [
    path,
    `/v1${path}`,
  ]),
);

export function buildPassThrough(
  entries: readonly PassThroughEntry[],
  deployments: readonly Deployment[],
  options: PassThroughOptions,
): BuiltPassThrough {
  const faults: Finding[] = [];
  const warnings: Finding[] = [];
  const endpoints: PassThroughEndpoint[] = [];
  for (const [index, entry] of entries.entries()) {
    const at = (...steps: readonly (string | number)[]): ConfigPath => [
      'general_settings',
      'pass_through_endpoints',
      index,
      ...steps,
    ];
    const path = entry.path.replace(/\/+$/, '');
    const methods = entry.methods ?? passThroughMethods;
    const pathFault = faultOfPath(path);
    if (pathFault !== undefined) faults.push({ path: at('path'), message: pathFault });
    const twin = endpoints.findIndex(
      (other) => other.path === path && other.methods.some((method) => methods.includes(method)),
    );
    if (twin !== -1) {
      faults.push({
        path: at('path'),
        message: `"${path}" is taken by pass_through_endpoints[${twin}]; give each its own path or other methods`,
      });
    }
    const target = URL.canParse(entry.target) ? new URL(entry.target) : undefined;
    const targetFault = faultOfTarget(target);
    if (targetFault !== undefined) {
      faults.push({ path: at('target'), message: `${shownAddress(entry.target)} ${targetFault}` });
    }
    const headers = Object.entries(entry.headers ?? {}).map(([name, value]) => {
      const { text, missing } = withVariables(value, options.environment);
      if (missing !== undefined) {
        faults.push({
          path: at('headers', name),
          message: `the environment variable ${missing} is not set; set it, or remove the header`,
        });
      } else if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || /[^\t\x20-\x7e\x80-\xff]/.test(text)) {
        faults.push({ path: at('headers', name), message: 'is not a header that HTTP can carry; write name: value' });
      }
      return [name.toLowerCase(), text] as const;
    });
    if (entry.auth === false) {
      warnings.push({ path: at('auth'), message: `everybody who reaches the gateway may use ${path} without a key` });
    }
    if (modelPaths.has(path)) {
      warnings.push({ path: at('path'), message: `"${path}" no longer reaches the models of model_list` });
    }
    endpoints.push({
      path,
      includeSubpath: entry.include_subpath ?? false,
      methods,
      origin: target?.origin ?? '',
      basePath: target?.pathname.replace(/\/+$/, '') ?? '',
      query: { ...Object.fromEntries(target?.searchParams ?? []), ...entry.default_query_params },
      headers: Object.fromEntries(headers),
      forwardHeaders: entry.forward_headers ?? false,
      needsKey: entry.auth ?? true,
      timeoutSeconds: entry.timeout ?? options.timeoutSeconds,
      ...(entry.cost_per_request === undefined
        ? {}
        : { costMicros: BigInt(Math.ceil(Number((entry.cost_per_request * 1e6).toFixed(6)))) }),
    });
  }
  for (const { modelGroup, inPassThrough, aws } of deployments) {
    if (inPassThrough !== true || aws === undefined) continue;
    warnings.push({
      path: ['model_list'],
      message: `use_in_pass_through of a deployment of "${modelGroup}" has no effect: its calls are signed; with an API key it would have`,
    });
  }
  const routes = providerRoutes(deployments, options);
  const taken = new Set(endpoints.map(({ path }) => path));
  return { endpoints: [...endpoints, ...routes.filter(({ path }) => !taken.has(path))], faults, warnings };
}

function faultOfPath(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must start with a slash; write for example /bria';
  if (path === '' || !/^(\/[\w.~-]+)+$/.test(path) || /\/\.\.?(\/|$)/.test(path)) {
    return 'may hold letters, digits and . _ ~ - between slashes; write for example /bria, and include_subpath: true for what is below';
  }
  return reserved.test(path) ? `"${path}" is a path of the gateway itself; choose another` : undefined;
}

function faultOfTarget(target: URL | undefined): string | undefined {
  if (target === undefined || !/^https?:$/.test(target.protocol)) {
    return 'is not an http or https address; write for example https://api.example.com/v1';
  }
  return target.username !== '' || target.password !== ''
    ? 'holds a user or password; write them as a header instead'
    : undefined;
}

/** `Bearer os.environ/NAME`: unlike elsewhere a variable may stand in the middle of a header. */
function withVariables(value: string, environment: Environment): { text: string; missing: string | undefined } {
  let missing: string | undefined;
  const text = value.replaceAll(new RegExp(`${prefix}(\\w+)`, 'g'), (_, variable: string) => {
    const found = environment[variable];
    if (found === undefined || found === '') missing ??= variable;
    return found ?? '';
  });
  return { text, missing };
}

/** Providers whose key in the environment is enough. */
const byEnvironment = ['openai', 'anthropic', 'gemini', 'azure', 'mistral', 'cohere'] as const;

const cohere = { apiBase: 'https://api.cohere.com', apiKeyVariable: 'COHERE_API_KEY' } as const;

/** `/openai/...` and so on: the raw API of a provider, with the key of a deployment that lends it, else the environment's. */
function providerRoutes(
  deployments: readonly Deployment[],
  { environment, timeoutSeconds }: PassThroughOptions,
): PassThroughEndpoint[] {
  const routes = new Map<string, PassThroughEndpoint>();
  const add = (provider: string, base: URL, headers: Readonly<Record<string, string>>, deployment?: Deployment) => {
    if (routes.has(provider)) return;
    routes.set(provider, {
      path: `/${provider}`,
      includeSubpath: true,
      methods: passThroughMethods,
      origin: base.origin,
      basePath: rootOf(provider, base.pathname),
      query: {},
      headers,
      forwardHeaders: true,
      needsKey: true,
      timeoutSeconds: deployment?.timeoutSeconds ?? timeoutSeconds,
      providerRoute: {
        provider,
        ...(deployment === undefined ? {} : { deploymentId: deployment.id }),
        ...(isListed(provider, base) ? { listedAs: provider } : {}),
      },
    });
  };
  for (const deployment of deployments) {
    // A signature covers the whole body, which a stream does not have yet.
    if (deployment.inPassThrough !== true || deployment.aws !== undefined) continue;
    add(deployment.provider, new URL(`${deployment.origin}${deployment.basePath}`), deployment.headers, deployment);
  }
  for (const provider of byEnvironment) {
    const known = provider === 'cohere' ? cohere : providers[provider];
    if (known === undefined) continue;
    const {
      apiBase,
      apiBaseVariables = [],
      apiKeyVariable = '',
      otherKeyVariable = '',
    } = {
      apiBaseVariables: undefined,
      otherKeyVariable: undefined,
      ...known,
    };
    const named = (variables: readonly string[]): string | undefined =>
      variables.map((variable) => environment[variable]).find((value) => value !== undefined && value !== '');
    const key = named([apiKeyVariable, otherKeyVariable]);
    const base = named(apiBaseVariables) ?? apiBase;
    if (key === undefined || base === undefined || !URL.canParse(base)) continue;
    add(provider, new URL(base), keyHeaders(provider, key));
  }
  return [...routes.values()];
}

/** Where the whole API of a provider begins, when the address may name one endpoint or one deployment in it. */
function rootOf(provider: string, pathname: string): string {
  const path = pathname.replace(/\/+$/, '');
  if (provider === 'anthropic') return path.replace(/(\/v1)?(\/messages)?$/, '');
  return provider === 'azure' ? path.replace(/\/openai(\/.*)?$/, '') : path;
}
