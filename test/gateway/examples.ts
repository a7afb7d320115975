/** Ordinary values of the gateway's own types; a test states only what it is about. */
import type { Reservation } from '../../gateway/domain/admission.ts';
import type { Deployment } from '../../gateway/domain/deployment.ts';
import { UpstreamError, type UpstreamErrorDetail, type UpstreamErrorKind } from '../../gateway/domain/errors.ts';
import type { CooldownSettings, RecoverySettings, RoutingSettings } from '../../gateway/domain/recovery.ts';
import type { Caller, JsonObject, ModelRequest } from '../../gateway/domain/request.ts';
import type { SpendEvent } from '../../gateway/domain/spend.ts';
import type { Wanted } from '../../gateway/routing/router.ts';

export const exampleDeployment = (id: string, over: Partial<Deployment> = {}): Deployment => ({
  id,
  modelGroup: 'chat',
  provider: 'openai',
  model: 'upstream-model',
  origin: 'http://127.0.0.1:9',
  basePath: '/v1',
  headers: { authorization: 'Bearer sk-upstream' },
  timeoutSeconds: 10,
  streamTimeoutSeconds: 10,
  streamIdleSeconds: 10,
  ...over,
});

/** Deployments of one group, by id. */
export const exampleGroup = (...deployments: readonly Deployment[]): ReadonlyMap<string, readonly Deployment[]> =>
  new Map([['chat', deployments]]);

/** Status that goes with a kind when a test does not care. */
export const statusOfKind: Readonly<Record<UpstreamErrorKind, number>> = {
  authentication: 401,
  'bad-request': 400,
  'content-policy': 400,
  'context-window': 400,
  'not-found': 404,
  'rate-limit': 429,
  timeout: 408,
  unavailable: 503,
};

export const upstreamError = (kind: UpstreamErrorKind, over: Partial<UpstreamErrorDetail> = {}): UpstreamError =>
  new UpstreamError({ kind, status: statusOfKind[kind], provider: 'openai', message: `a ${kind} error`, ...over });

export const recovery = (over: Partial<RecoverySettings> = {}): RecoverySettings => ({
  numRetries: 2,
  retriesByKind: {},
  retriesByKindOfGroup: new Map(),
  retryAfterSeconds: 0,
  retryAfterSecondsByStatus: new Map(),
  fallbacks: new Map(),
  contextWindowFallbacks: new Map(),
  contentPolicyFallbacks: new Map(),
  defaultFallbacks: [],
  maxFallbacks: 5,
  ...over,
});

export const cooldownSettings = (over: Partial<CooldownSettings> = {}): CooldownSettings => ({
  enabled: true,
  cooldownSeconds: 30,
  allowedFails: undefined,
  allowedFailsByKind: {},
  ...over,
});

/** A request whose bytes are the body as `JSON.stringify` prints it, or the text that is given. */
export function exampleRequest(
  body: JsonObject = { model: 'chat', messages: [{ role: 'user', content: 'Hello!' }] },
  over: Partial<ModelRequest> = {},
): ModelRequest {
  return {
    id: '018f0000-0000-7000-8000-000000000000',
    callId: 'call-1',
    operation: 'chat',
    model: 'chat',
    stream: body['stream'] === true,
    body,
    bytes: Buffer.from(JSON.stringify(body)),
    tags: [],
    contentType: 'application/json',
    overrides: { disableFallbacks: false },
    startedAtMs: 0,
    ...over,
  };
}

export const exampleCaller: Caller = { keyHash: 'a'.repeat(64), role: 'caller', models: [] };

/** Of a caller whom nothing limits. */
export const noReservation: Reservation = {
  reservedMicros: 0,
  accounts: [],
  maxOutputTokens: undefined,
  settle: () => undefined,
  headers: () => undefined,
};

export const spendEvent = (requestId: string, over: Partial<SpendEvent> = {}): SpendEvent => ({
  requestId,
  callId: requestId,
  keyHash: 'a'.repeat(64),
  operation: 'chat',
  requestedModel: 'chat',
  modelGroup: 'chat',
  deploymentId: 'deployment-0',
  provider: 'openai',
  model: 'upstream-model',
  status: 200,
  ending: 'finished',
  stream: false,
  promptTokens: 10,
  completionTokens: 5,
  costMicros: 123n,
  attempts: 1,
  fallbacks: 0,
  startedAtMs: 1_700_000_000_000,
  reservedMicros: null,
  accounts: [],
  durationMs: 12,
  ...over,
});

export const routingSettings = (settings: Partial<RoutingSettings> = {}): RoutingSettings => ({
  strategy: 'simple-shuffle',
  latencyBuffer: 0,
  latencyTtlSeconds: 3_600,
  tagFiltering: false,
  matchAnyTag: true,
  preCallChecks: false,
  enforceRateLimits: false,
  ...settings,
});

/** A request that any deployment may serve. */
export const anything: Wanted = { tags: [], stream: false, promptTokens: 1 };
