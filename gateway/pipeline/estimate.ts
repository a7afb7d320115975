/** The most that a request can use: what is set aside for it before it runs. */
import type { Estimator } from '../domain/admission.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { RecoverySettings } from '../domain/recovery.ts';
import type { JsonObject, ModelRequest } from '../domain/request.ts';
import type { ModelDirectory } from '../routing/directory.ts';

export interface EstimatorOptions {
  readonly directory: ModelDirectory;
  readonly recovery: RecoverySettings;
  /** Output of a request that states no maximum. */
  readonly defaultOutputTokens: number;
}

/** Fewer than English text has, so that the estimate is rather too high than too low. */
const bytesPerToken = 3;

/** Prices are the dearest of all deployments that may answer, fallbacks included. */
export function makeEstimator({ directory, recovery, defaultOutputTokens }: EstimatorOptions): Estimator {
  return (request, group) => {
    const promptTokens = Math.ceil(request.bytes.length / bytesPerToken);
    const bodies = bodiesOf(request);
    const choices = Math.max(1, ...bodies.map((body) => integerOf(body['n']) ?? 1));
    const outputTokens = hasOutput(request)
      ? Math.max(...bodies.map((body) => outputTokensOf(body) ?? defaultOutputTokens))
      : 0;
    const prices = dearest(deploymentsOf(group, request, directory, recovery));
    const tokens = promptTokens + outputTokens * choices;
    if (prices === undefined) return { micros: undefined, tokens };
    const microsPerToken = prices.output * 1e6 * choices;
    const micros = Math.ceil(promptTokens * prices.input * 1e6 + outputTokens * microsPerToken);
    // What a fallback states of its own is not bounded by what the request is allowed.
    const isOpen = bodies.length === 1 && outputTokensOf(request.body) === undefined;
    if (!isOpen || outputTokens === 0) return { micros, tokens };
    return { micros, tokens, openOutput: { tokens: outputTokens, microsPerToken } };
  };
}

const hasOutput = ({ operation }: ModelRequest): boolean => operation === 'chat';

/** As it may be sent: by the client's word, and as its fallbacks change it. Their prompts stand in its bytes. */
const bodiesOf = ({ body, overrides }: ModelRequest): readonly JsonObject[] => [
  body,
  ...(overrides.fallbacks?.flatMap(({ members }) => (members === undefined ? [] : [{ ...body, ...members }])) ?? []),
];

function outputTokensOf(body: JsonObject): number | undefined {
  return integerOf(body['max_completion_tokens']) ?? integerOf(body['max_tokens']);
}

const integerOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.ceil(value) : undefined;

function deploymentsOf(
  group: string,
  request: ModelRequest,
  directory: ModelDirectory,
  recovery: RecoverySettings,
): Deployment[] {
  const named =
    request.overrides.fallbacks?.map((fallback) => fallback.model) ??
    [recovery.fallbacks, recovery.contextWindowFallbacks, recovery.contentPolicyFallbacks].flatMap(
      (map) => map.get(group) ?? recovery.defaultFallbacks,
    );
  const groups = new Set([group, ...(request.overrides.disableFallbacks ? [] : named)]);
  return [...groups].flatMap((name) => [...directory.deployments(directory.resolve(name) ?? name)]);
}

/** @returns undefined when any of them has no price. */
function dearest(deployments: readonly Deployment[]): { readonly input: number; readonly output: number } | undefined {
  let input = 0;
  let output = 0;
  for (const { prices } of deployments) {
    if (prices?.inputCostPerToken === undefined || prices.outputCostPerToken === undefined) return undefined;
    input = Math.max(input, prices.inputCostPerToken);
    output = Math.max(output, prices.outputCostPerToken);
  }
  return { input, output };
}

/** The same request with a maximum for its output. */
export function withMaxOutput(request: ModelRequest, maxOutputTokens: number): ModelRequest {
  const body = { ...request.body, max_tokens: maxOutputTokens };
  return { ...request, body, bytes: Buffer.from(JSON.stringify(body)) };
}
