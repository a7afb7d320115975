/** A deployment is one callable upstream: one entry of `model_list`. */
import type { Pretence } from './mock.ts';
import type { ModelName, ModelPrices } from './prices.ts';
import type { CooldownSettings } from './recovery.ts';
import type { ClientApi } from './request.ts';

/** What a call to an AWS service is signed with. */
export interface AwsAccess {
  readonly region: string;
  /** Undefined = the environment's, or the role of the container. */
  readonly credentials?: {
    readonly accessKeyId: string;
    readonly secretAccessKey: string;
    readonly sessionToken?: string;
  };
  /** Calls are made in a session of this role. */
  readonly role?: AwsRole;
}

export interface AwsRole {
  readonly arn: string;
  /** Names the session in AWS's logs. */
  readonly sessionName: string;
  /** What a role of another account may ask for. */
  readonly externalId?: string;
  /** Shown instead of credentials. */
  readonly webIdentity?: WebIdentity;
  /** Of the Security Token Service: scheme, host and port. */
  readonly stsOrigin: string;
}

/** A token of an identity provider that AWS trusts; one in a file may be replaced there at any time. */
export type WebIdentity = { readonly file: string } | { readonly token: string };

export interface Deployment {
  /** `model_info.id`, else a hash of the entry: the same entry has the same id in every process. */
  readonly id: string;
  /** `model_name`: what clients call. */
  readonly modelGroup: string;
  /** Vendor of the API, for example `openai` or `hosted_vllm`. */
  readonly provider: string;
  /** The provider's name for the model, sent upstream. */
  readonly model: string;
  /** Scheme, host and port. */
  readonly origin: string;
  /** Path before the operation's own, for example `/v1`. */
  readonly basePath: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Azure's `api-version`. */
  readonly apiVersion?: string;
  /** APIs besides chat completions that it speaks itself: their requests and answers pass through as they are. */
  readonly speaks?: readonly ClientApi[];
  /** Its address and key also serve the raw routes of its provider (`/anthropic/...`). */
  readonly inPassThrough?: true;
  /** Whether what the provider cannot express is left out instead of refused; undefined = as for all. */
  readonly dropParams?: boolean;
  /** Left out of every request: names, and paths such as `tools[*].function.strict`. */
  readonly droppedParams?: readonly string[];
  /** Where it is, for people and for `allowed_model_region`: `eu`, `us-east-1`; undefined = nobody said. */
  readonly region?: string;
  /** Nobody is called: this is pretended instead. */
  readonly mock?: Pretence;
  /** Calls must be signed. */
  readonly aws?: AwsAccess;
  /** Weights of simple-shuffle, in LiteLLM's order of preference. */
  readonly weight?: number;
  readonly rpm?: number;
  readonly tpm?: number;
  /** Retries in this deployment's group after one of its failures, when the entry states its own number. */
  readonly maxRetries?: number;
  /** Time for a whole answer. */
  readonly timeoutSeconds: number;
  /** Time to the first chunk of a stream. */
  readonly streamTimeoutSeconds: number;
  /** Longest silence inside a stream. */
  readonly streamIdleSeconds: number;
  /** Own cooldown; 0 = never cooled. */
  readonly cooldownSeconds?: number;
  /** What its entry states of the failures that are tolerated; it goes before the router's. */
  readonly tolerance?: Partial<Pick<CooldownSettings, 'allowedFails' | 'allowedFailsByKind'>>;
  /** Of the entry itself and of price lists, together. */
  readonly prices?: ModelPrices;
  /** How price lists name its model; undefined when nobody can tell, as behind an address of one's own. */
  readonly listedAs?: ModelName;
  /** Lower is tried first; without one, last. */
  readonly order?: number;
  readonly tags?: readonly string[];
  /** Context window of the prompt. */
  readonly maxInputTokens?: number;
  /** Longest answer. */
  readonly maxOutputTokens?: number;
  /** Attempts at once, in one process. */
  readonly maxParallelRequests?: number;
}
