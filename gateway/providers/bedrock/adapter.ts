/** Amazon Bedrock: chat with the Converse API, embeddings and rerank with InvokeModel. Calls must be signed before they are sent, see `sign.ts`. https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html */
import type { ProviderAdapter } from '../adapter.ts';
import type { AdapterOptions } from '../chat/refuse.ts';
import { embeddingBatches } from './embeddings.ts';
import { classify } from './errors.ts';
import { toReply } from './reply.ts';
import { toUpstream } from './request.ts';
import { toRerankCall, toRerankReply } from './rerank.ts';
import { decoder } from './stream.ts';

export const bedrockAdapter = (options: AdapterOptions): ProviderAdapter => ({
  toUpstream: (request, deployment) =>
    request.operation === 'rerank' ? toRerankCall(request, deployment) : toUpstream(request, deployment, options),
  inBatches: (request, deployment) =>
    request.operation === 'embeddings' ? embeddingBatches(request, deployment, options) : undefined,
  toReply: (response, request, deployment) =>
    request.operation === 'rerank'
      ? toRerankReply(response, request, deployment)
      : toReply(response, request, deployment),
  classify,
  decoder,
});
