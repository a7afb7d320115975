/** Clients of the legacy completions at servers that have them. https://platform.openai.com/docs/api-reference/completions */
import type { PassThroughAdapter } from '../adapter.ts';

/** Everything but the path is as in chat: the model in the body, token counts, `[DONE]`. */
export const nativeCompletions = (chat: PassThroughAdapter): PassThroughAdapter => ({
  ...chat,
  toUpstream(request, deployment) {
    return { ...chat.toUpstream(request, deployment), path: `${deployment.basePath}/completions` };
  },
});
