/** A request of a client, parsed once at the edge. */
import type { Scope } from './entitlements.ts';
import type { UserRole } from './identity.ts';
import type { Mock } from './mock.ts';
import type { Operation } from './operation.ts';

export type JsonObject = { readonly [key: string]: unknown };

export interface ModelRequest {
  /** Accounting id, a UUIDv7 made here: an id that a client could repeat would let it hide requests. */
  readonly id: string;
  /** The client's `x-litellm-call-id`, else the accounting id; echoed and stored for people who search. */
  readonly callId: string;
  readonly operation: Operation;
  /** Model group the client asked for. */
  readonly model: string;
  readonly stream: boolean;
  readonly body: JsonObject;
  /** The client's own bytes; forwarded as they are wherever nothing has to change. */
  readonly bytes: Buffer;
  /** Of the bytes. */
  readonly contentType: string;
  /** The client spoke another API; what its format has and OpenAI's has not may stand in the body. */
  readonly translated?: boolean;
  /** The client speaks another API than that of the operation: body and bytes are in its words. */
  readonly spoken?: SpokenRequest;
  readonly overrides: RequestOverrides;
  /** The header `Cache-Control`. */
  readonly cacheControl?: string;
  /** For tag routing. */
  readonly tags: readonly string[];
  /** The customer of the caller for whom it asks: body `user`, or a header. */
  readonly endUser?: string;
  /** What the client wants to find in the spend row. */
  readonly spendMetadata?: JsonObject;
  /** The client forbids that anything keeps its prompt or its answer. */
  readonly redacted?: true;
  /** Test hooks; undefined for a request that means what it says. */
  readonly mock?: Mock;
  /** Wall clock, milliseconds. */
  readonly startedAtMs: number;
}

/** The APIs of clients besides chat completions: translated to these, or passed on to a provider that speaks them, too. */
export const clientApis = ['messages', 'responses', 'completions'] as const;
export type ClientApi = (typeof clientApis)[number];

export interface SpokenRequest {
  readonly api: ClientApi;
  /** The client's own headers that a provider of the same API is to see, by their lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /**
   * The same request as chat completions: made when the first deployment needs it, and kept.
   * @throws Refusal 400 that names the parameter which chat completions cannot express.
   */
  readonly toChat: () => ModelRequest;
  /** Another request of the same client in the same words. */
  readonly again: (request: ModelRequest) => ModelRequest;
  /** Id of the only deployment that can continue what this request refers to. */
  readonly onlyAt?: string;
}

/** What a request may decide for itself. */
export interface RequestOverrides {
  readonly numRetries?: number;
  readonly timeoutSeconds?: number;
  /** Time to the first chunk of a stream, for each attempt. */
  readonly streamTimeoutSeconds?: number;
  readonly disableFallbacks: boolean;
  /** Only deployments of these regions may serve it (`allowed_model_region` of the body and of the key): each must allow it. */
  readonly allowedRegions?: readonly string[];
  /** Model groups to try instead of the configured ones. */
  readonly fallbacks?: readonly RequestedFallback[];
}

/** A model that the client names as a fallback, and how its request to that model differs. */
export interface RequestedFallback {
  readonly model: string;
  /** Members that replace those of the body; undefined = the same request. */
  readonly members?: JsonObject;
}

/** The verified identity behind a key. */
export interface Caller {
  /** SHA-256 of the key, hex: LiteLLM's `token`. */
  readonly keyHash: string;
  readonly keyAlias?: string;
  readonly role: 'admin' | 'caller';
  /** Model groups this key may use; empty = all. */
  readonly models: readonly string[];
  /** Names the key for accounts and rows; it survives a rotation, which the hash does not. */
  readonly keyId?: string;
  readonly teamId?: string;
  readonly userId?: string;
  readonly organizationId?: string;
  /** What limits and counts this caller, in the order of refusals. Absent = nothing does. */
  readonly scopes?: readonly Scope[];
  /** Of the user behind the key; what it may do over the management API. */
  readonly userRole?: UserRole;
  /** Lists of model groups that hold besides `models`: each must let a model through. */
  readonly modelScopes?: readonly ModelScope[];
  /** The caller's own names for model groups. */
  readonly aliases?: ReadonlyMap<string, string>;
  /** Paths, patterns that end in `*`, or LiteLLM's names for groups of routes. Absent = all. */
  readonly allowedRoutes?: readonly string[];
  /** Values of the body's `cache` that may be used. Absent = all. */
  readonly allowedCacheControls?: readonly string[];
  /** Nothing but the model group that was asked for. */
  readonly disableFallbacks?: boolean;
  /** Added to those of each request. */
  readonly tags?: readonly string[];
  readonly allowedModelRegion?: string;
  /** May have answers pretended to it (`mock_response`) instead of asking a provider. */
  readonly mayMock?: boolean;
}

/** A list of model groups that binds a caller from above. */
export interface ModelScope {
  readonly level: 'team' | 'user' | 'organization';
  readonly name: string;
  /** Never empty. */
  readonly models: readonly string[];
}
