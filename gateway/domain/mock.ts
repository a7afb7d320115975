/** LiteLLM's test hooks: what is pretended instead of asking a provider. Nothing is sent, so nothing is billed. */
import type { UpstreamErrorKind } from './errors.ts';

/** What one attempt pretends. */
export type Pretence =
  /** `mock_response`: a text, or an answer in its own form. */
  | { readonly is: 'answer'; readonly content: unknown }
  | { readonly is: 'rate-limit' }
  /** After the attempt's whole time. */
  | { readonly is: 'timeout' };

/** What a request wants to be pretended. */
export interface Mock {
  /** The model group asked for fails with this as a whole, so that its fallbacks are seen. */
  readonly groupFails?: UpstreamErrorKind;
  readonly firstAttempt?: Pretence;
  readonly everyAttempt?: Pretence;
}
