/** https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_MessageStopEvent.html */
import type { FinishReason } from '../chat/completion.ts';
import type { StopReason } from './wire.ts';

const reasons: Readonly<Record<StopReason, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  malformed_model_output: 'stop',
  malformed_tool_use: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  guardrail_intervened: 'content_filter',
  content_filtered: 'content_filter',
};

const isKnown = (reason: unknown): reason is StopReason => typeof reason === 'string' && Object.hasOwn(reasons, reason);

/** A reason that is not known yet is still a proper end. */
export const toFinishReason = (reason: unknown): FinishReason => (isKnown(reason) ? reasons[reason] : 'stop');
