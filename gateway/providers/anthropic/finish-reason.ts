/** https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons */
import type { FinishReason } from '../chat/completion.ts';
import type { StopReason } from './wire.ts';

const reasons: Readonly<Record<StopReason, FinishReason>> = {
  end_turn: 'stop',
  stop_sequence: 'stop',
  /** A turn with the provider's own tools that may be continued. */
  pause_turn: 'stop',
  max_tokens: 'length',
  model_context_window_exceeded: 'length',
  tool_use: 'tool_calls',
  refusal: 'content_filter',
};

const isKnown = (reason: unknown): reason is StopReason => typeof reason === 'string' && Object.hasOwn(reasons, reason);

/** A reason that is not known yet is still a proper end. */
export const toFinishReason = (reason: unknown): FinishReason => (isKnown(reason) ? reasons[reason] : 'stop');
