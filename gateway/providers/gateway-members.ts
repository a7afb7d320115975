/** Members of a body that speak to the gateway and not to a provider (LiteLLM's names). */
export const gatewayMembers: ReadonlySet<string> = new Set(
  `additional_drop_params cache content_policy_fallbacks context_window_fallback_dict context_window_fallbacks
  disable_fallbacks drop_params fallbacks guardrails litellm_metadata litellm_session_id litellm_trace_id max_fallbacks
  max_retries metadata mock_response mock_testing_content_policy_fallbacks mock_testing_context_fallbacks
  mock_testing_context_window_fallbacks mock_testing_fallbacks mock_testing_rate_limit_error mock_timeout num_retries
  stream_timeout tags timeout
  api_key api_base base_url custom_llm_provider`.split(/\s+/),
);
