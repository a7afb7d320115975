/** From one entry of `model_list` to a deployment: who the provider is, where it is reached, and with which key. */
import { createHash } from 'node:crypto';
import { modelIdOf, regionOf, regionOfArn } from '../domain/bedrock-model.ts';
import type { AwsAccess, Deployment } from '../domain/deployment.ts';
import type { ModelName } from '../domain/prices.ts';
import { readPrices } from '../pricing/litellm-prices.ts';
import { baseModelName, packageProviders } from '../pricing/names.ts';
import { readAwsRole } from './aws-role.ts';
import { byKind } from './build-recovery.ts';
import { clientApisOf } from './client-apis.ts';
import type { ConfigPath } from './document.ts';
import type { Environment } from './environment.ts';
import { providers, refusedProviders, splitModel } from './providers.ts';
import type { ModelEntry } from './schema.ts';

export interface DeploymentOptions {
  readonly environment: Environment;
  readonly demoUpstreams?: readonly string[];
  /** Variables that an entry of `model_list` names and nobody set, by index. */
  readonly missingVariables: ReadonlyMap<number, string>;
  /** Defaults for entries that state none of their own. */
  readonly requestTimeoutSeconds: number;
  readonly streamTimeoutSeconds: number | undefined;
  readonly streamIdleSeconds: number;
  readonly maxParallelRequests: number | undefined;
}

export type Invalid = { readonly invalid: string; readonly path: ConfigPath; readonly leaveOut: boolean };

/** Of an address that names no region, such as a private endpoint. */
const defaultAwsRegion = 'us-east-1';

/** @returns the deployment, or why it cannot be one. */
export function buildDeployment(entry: ModelEntry, index: number, options: DeploymentOptions): Deployment | Invalid {
  const params = entry.litellm_params;
  const { provider, model } = splitModel(params.model, params.custom_llm_provider);
  const demo = options.demoUpstreams?.[index % (options.demoUpstreams.length || 1)];
  const reach = demo === undefined ? reachProvider(entry, index, provider, options) : { base: demo, key: 'sk-demo' };
  if ('invalid' in reach) return reach;
  const base = URL.canParse(reach.base) ? new URL(reach.base) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) {
    return {
      invalid: `${shownAddress(reach.base)} is not an http or https address; write for example https://api.openai.com/v1`,
      path: ['litellm_params', 'api_base'],
      leaveOut: false,
    };
  }
  const aws = demo === undefined ? awsAccess(provider, reach.key, params, options) : undefined;
  if (aws !== undefined && 'invalid' in aws) return aws;
  const apiVersion =
    params.api_version ?? (provider === 'azure' ? options.environment['AZURE_API_VERSION'] : undefined);
  const speaks =
    demo === undefined ? clientApisOf({ provider, base, apiVersion, useResponses: params.use_responses_api }) : [];
  const weight = params.weight;
  const rpm = entry.rpm ?? params.rpm ?? entry.model_info?.rpm;
  const tpm = entry.tpm ?? params.tpm ?? entry.model_info?.tpm;
  const maxRetries = params.max_retries ?? params.num_retries;
  const cooldownSeconds = entry.model_info?.cooldown_time ?? params.cooldown_time;
  const maxInputTokens = entry.model_info?.max_input_tokens;
  const maxParallelRequests = params.max_parallel_requests ?? options.maxParallelRequests;
  const maxOutputTokens = entry.model_info?.max_output_tokens ?? entry.model_info?.max_tokens;
  const prices = readPrices({ ...entry.model_info, ...params });
  const listedAs = listedName(entry, provider, demo === undefined ? base : undefined);
  const region = params.region_name ?? (provider === 'bedrock' ? regionFor(params, options) : undefined);
  return {
    // In a demo several entries may differ by nothing but the variables that nobody set.
    id: entry.model_info?.id ?? deploymentId(entry, demo === undefined ? base.href : `demo ${index}`),
    modelGroup: entry.model_name,
    provider: demo === undefined ? provider : 'demo',
    model,
    origin: base.origin,
    basePath: base.pathname.replace(/\/+$/, ''),
    headers: {
      ...keyHeaders(demo === undefined ? provider : 'demo', reach.key),
      ...(params.organization === undefined ? {} : { 'openai-organization': params.organization }),
    },
    ...(weight === undefined ? {} : { weight }),
    ...(rpm === undefined ? {} : { rpm }),
    ...(tpm === undefined ? {} : { tpm }),
    ...(maxRetries === undefined ? {} : { maxRetries }),
    ...(cooldownSeconds === undefined ? {} : { cooldownSeconds }),
    ...toleranceOf(entry),
    ...(prices === undefined ? {} : { prices }),
    ...(listedAs === undefined ? {} : { listedAs }),
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(params.drop_params === undefined ? {} : { dropParams: params.drop_params }),
    ...(params.additional_drop_params === undefined ? {} : { droppedParams: params.additional_drop_params }),
    ...(aws === undefined ? {} : { aws }),
    ...(region === undefined ? {} : { region }),
    ...(params.mock_response === undefined || params.mock_response === null
      ? {}
      : { mock: { is: 'answer', content: params.mock_response } }),
    ...(params.use_in_pass_through === true && demo === undefined ? { inPassThrough: true } : {}),
    ...(speaks.length === 0 ? {} : { speaks }),
    ...(params.order === undefined ? {} : { order: params.order }),
    ...(params.tags === undefined ? {} : { tags: params.tags }),
    ...(maxInputTokens === undefined ? {} : { maxInputTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(maxParallelRequests === undefined ? {} : { maxParallelRequests }),
    timeoutSeconds: params.timeout ?? options.requestTimeoutSeconds,
    streamTimeoutSeconds:
      params.stream_timeout ?? options.streamTimeoutSeconds ?? params.timeout ?? options.requestTimeoutSeconds,
    streamIdleSeconds: params.stream_idle_timeout ?? options.streamIdleSeconds,
  };
}

function toleranceOf({ model_info: info }: ModelEntry): Pick<Deployment, 'tolerance'> {
  if (info?.allowed_fails === undefined && info?.allowed_fails_policy === undefined) return {};
  return {
    tolerance: {
      ...(info.allowed_fails === undefined ? {} : { allowedFails: info.allowed_fails }),
      allowedFailsByKind: byKind(info.allowed_fails_policy ?? {}, 'AllowedFails'),
    },
  };
}

/**
 * A base model decides. Without one the provider's own name for the model does, unless anybody may be behind it: many
 * servers are called `openai/...` with an address of their own, and what they cost stands in no list.
 * @param base undefined = the provider's own address.
 */
function listedName(entry: ModelEntry, provider: string, base: URL | undefined): ModelName | undefined {
  const { model } = splitModel(entry.litellm_params.model, entry.litellm_params.custom_llm_provider);
  const baseModel = entry.model_info?.base_model ?? entry.litellm_params.base_model;
  if (baseModel !== undefined) return baseModelName(baseModel, provider);
  return isListed(provider, base) ? { provider, model } : undefined;
}

/** Whether price lists have the models that a provider's name stands for at this address. */
export const isListed = (provider: string, base: URL | undefined): boolean =>
  Object.hasOwn(packageProviders, provider) &&
  (provider !== 'openai' || base === undefined || /(^|\.)api\.openai\.com$/.test(base.hostname));

/** The region stands in the model string, in the entry, or in the environment. */
function regionFor(params: ModelEntry['litellm_params'], { environment }: DeploymentOptions): string | undefined {
  const { model } = splitModel(params.model, params.custom_llm_provider);
  return (
    regionOf(model) ??
    regionOfArn(modelIdOf(model)) ??
    params.aws_region_name ??
    [environment['AWS_REGION_NAME'], environment['AWS_REGION']].find((value) => value !== undefined && value !== '')
  );
}

/** Undefined when calls carry a key, or are not AWS's. */
function awsAccess(
  provider: string,
  key: string | undefined,
  params: ModelEntry['litellm_params'],
  options: DeploymentOptions,
): AwsAccess | Invalid | undefined {
  if (provider !== 'bedrock') return undefined;
  const region = regionFor(params, options) ?? defaultAwsRegion;
  const role = readAwsRole(params, region, key !== undefined, options.environment);
  if (role !== undefined && 'invalid' in role) return role;
  if (key !== undefined) return undefined;
  const {
    aws_access_key_id: accessKeyId,
    aws_secret_access_key: secretAccessKey,
    aws_session_token: sessionToken,
  } = params;
  const credentials =
    accessKeyId === undefined || secretAccessKey === undefined
      ? undefined
      : { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) };
  return {
    region,
    ...(credentials === undefined ? {} : { credentials }),
    ...(role === undefined ? {} : { role }),
  };
}

export function keyHeaders(provider: string, key: string | undefined): Record<string, string> {
  if (key === undefined) return {};
  const header = Object.hasOwn(providers, provider) ? providers[provider]?.keyHeader : undefined;
  return header === undefined ? { authorization: `Bearer ${key}` } : { [header]: key };
}

function reachProvider(
  entry: ModelEntry,
  index: number,
  provider: string,
  options: DeploymentOptions,
): { base: string; key: string | undefined } | Invalid {
  const params = entry.litellm_params;
  const known = Object.hasOwn(providers, provider) ? providers[provider] : undefined;
  if (known === undefined) {
    const refused = Object.hasOwn(refusedProviders, provider) ? refusedProviders[provider] : undefined;
    return {
      invalid:
        refused !== undefined
          ? `provider "${provider}" is not supported: ${refused}`
          : `provider "${provider}" is not known; write for example openai/NAME with an api_base`,
      path: ['litellm_params', 'model'],
      leaveOut: refused !== undefined,
    };
  }
  const variable = options.missingVariables.get(index);
  if (variable !== undefined) {
    return { invalid: `the environment variable ${variable} is not set`, path: ['litellm_params'], leaveOut: true };
  }
  const key =
    params.api_key ??
    [known.apiKeyVariable, known.otherKeyVariable]
      .map((name) => (name === undefined ? undefined : options.environment[name]))
      .find((value) => value !== undefined && value !== '');
  const region = provider === 'bedrock' ? regionFor(params, options) : undefined;
  // A private endpoint goes before the region's public one.
  const endpoint = options.environment['AWS_BEDROCK_RUNTIME_ENDPOINT'];
  const privateBase = provider === 'bedrock' && endpoint !== '' ? endpoint : undefined;
  const base =
    params.aws_bedrock_runtime_endpoint ??
    params.api_base ??
    params.base_url ??
    privateBase ??
    (region === undefined ? undefined : `https://bedrock-runtime.${region}.amazonaws.com`) ??
    known.apiBaseVariables
      ?.map((name) => options.environment[name])
      .find((value) => value !== undefined && value !== '') ??
    known.apiBase;
  // OpenAI's own names have no slash: without an address of its own this is a misspelled provider.
  const prefix = params.model.slice(0, Math.max(0, params.model.indexOf('/')));
  if (base === providers['openai']?.apiBase && prefix !== '' && prefix !== provider) {
    return {
      invalid: `provider "${prefix}" is not known; write for example openai/NAME with an api_base`,
      path: ['litellm_params', 'model'],
      leaveOut: false,
    };
  }
  if (base === undefined && provider === 'bedrock') {
    return { invalid: 'has no aws_region_name and AWS_REGION is not set', path: ['litellm_params'], leaveOut: true };
  }
  if (base === undefined) {
    return {
      invalid: `provider "${provider}" has no address of its own; write api_base`,
      path: ['litellm_params'],
      leaveOut: false,
    };
  }
  if ((key === undefined || key === '') && known.keyOptional !== true && params.mock_response === undefined) {
    return {
      invalid: `has no api_key and ${known.apiKeyVariable} is not set`,
      path: ['litellm_params'],
      leaveOut: true,
    };
  }
  return { base, key: key === '' ? undefined : key };
}

/** An address for messages; one that may hold a user, a password or a query is not repeated. */
export const shownAddress = (address: string): string =>
  /^(\w+:\/\/)?[\w.-]+(:\d+)?(\/[\w./-]*)?$/.test(address) ? `"${address}"` : 'the address';

/** The same entry has the same id in every process and after every restart; the key takes part, but only as a hash. */
function deploymentId(entry: ModelEntry, base: string): string {
  const identity = JSON.stringify([
    entry.model_name,
    Object.entries(entry.litellm_params).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    base,
  ]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}
