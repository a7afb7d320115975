/** Amazon Bedrock's Converse API. Calls must be signed before they are sent, see `sign.ts`. https://docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference.html */
import type { ProviderAdapter } from '../adapter.ts';
import type { AdapterOptions } from '../chat/refuse.ts';
import { classify } from './errors.ts';
import { toReply } from './reply.ts';
import { toUpstream } from './request.ts';
import { decoder } from './stream.ts';

export const bedrockAdapter = (options: AdapterOptions): ProviderAdapter => ({
  toUpstream: (request, deployment) => toUpstream(request, deployment, options),
  toReply,
  classify,
  decoder,
});
