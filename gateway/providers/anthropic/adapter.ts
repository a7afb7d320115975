/** Anthropic's Messages API. https://platform.claude.com/docs/en/api/messages */
import type { ProviderAdapter } from '../adapter.ts';
import type { AdapterOptions } from '../chat/refuse.ts';
import { classify } from './errors.ts';
import { toReply } from './reply.ts';
import { toUpstream } from './request.ts';
import { decoder } from './stream.ts';

export const anthropicAdapter = (options: AdapterOptions): ProviderAdapter => ({
  toUpstream: (request, deployment) => toUpstream(request, deployment, options),
  toReply,
  classify,
  decoder,
});
