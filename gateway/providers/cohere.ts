/**
 * Cohere's compatibility API, which is OpenAI's format, and its own rerank, which is this gateway's. `api_base` is that of the
 * former. https://docs.cohere.com/docs/compatibility-api, https://docs.cohere.com/v2/reference/rerank
 */
import type { Operation } from '../domain/operation.ts';
import type { PassThroughAdapter } from './adapter.ts';
import { inexpressible } from './chat/refuse.ts';
import { openAIAdapter } from './openai.ts';

const present: ReadonlySet<Operation> = new Set(['chat', 'embeddings', 'rerank']);

export const cohereAdapter: PassThroughAdapter = {
  // Its methods call each other through `this`, so they use what is replaced here.
  ...openAIAdapter,

  toUpstream(request, deployment) {
    if (!present.has(request.operation)) throw inexpressible(request.operation, 'cohere', 'it has no such operation');
    const call = openAIAdapter.toUpstream(request, deployment);
    if (request.operation !== 'rerank') return call;
    return { ...call, path: `${deployment.basePath.replace(/\/compatibility\/v1$/, '')}/v2/rerank` };
  },
};
