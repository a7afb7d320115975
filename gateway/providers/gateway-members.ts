/** Members of a body that speak to the gateway and not to a provider (LiteLLM's names); no upstream ever sees them. */
export const gatewayMembers: ReadonlySet<string> = new Set([
  // How to recover.
  'fallbacks',
  'context_window_fallbacks',
  'context_window_fallback_dict',
  'content_policy_fallbacks',
  'max_fallbacks',
  'disable_fallbacks',
  'num_retries',
  'max_retries',
  'timeout',
  'stream_timeout',
  // What to pretend.
  'mock_response',
  'mock_testing_fallbacks',
  'mock_testing_context_fallbacks',
  'mock_testing_context_window_fallbacks',
  'mock_testing_content_policy_fallbacks',
  'mock_testing_rate_limit_error',
  'mock_timeout',
  'mock_delay',
  // What to route, keep and check by.
  'cache',
  'tags',
  'allowed_model_region',
  'metadata',
  'litellm_metadata',
  'litellm_session_id',
  'litellm_trace_id',
  'guardrails',
  'drop_params',
  'additional_drop_params',
  // A client's own credentials and addresses are nobody else's business.
  'api_key',
  'api_base',
  'base_url',
  'custom_llm_provider',
]);
