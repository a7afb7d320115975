/** Google's Gemini API (AI Studio). https://ai.google.dev/api/generate-content */
import type { ProviderAdapter } from '../adapter.ts';
import type { AdapterOptions } from '../chat/refuse.ts';
import { embeddingBatches } from './embeddings.ts';
import { classify } from './errors.ts';
import { toReply } from './reply.ts';
import { toUpstream } from './request.ts';
import { decoder } from './stream.ts';

export const geminiAdapter = (options: AdapterOptions): ProviderAdapter => ({
  toUpstream: (request, deployment) => toUpstream(request, deployment, options),
  inBatches: (request, deployment) =>
    request.operation === 'embeddings' ? embeddingBatches(request, deployment) : undefined,
  toReply,
  classify,
  decoder,
});
