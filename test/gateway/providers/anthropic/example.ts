import type { Deployment } from '../../../../gateway/domain/deployment.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { anthropicAdapter } from '../../../../gateway/providers/anthropic/adapter.ts';
import { exampleDeployment, exampleRequest } from '../../examples.ts';

export const adapter = anthropicAdapter({ dropParams: false });

export const deploymentOf = (model: string, over: Partial<Deployment> = {}): Deployment =>
  exampleDeployment('anthropic-0', {
    provider: 'anthropic',
    model,
    origin: 'https://api.anthropic.com',
    basePath: '',
    headers: { 'x-api-key': 'sk-ant-secret' },
    ...over,
  });

export const deployment = deploymentOf('claude-sonnet-4-5');

export const user = (content: unknown): JsonObject => ({ role: 'user', content });

/** The body for Anthropic of a client's request; the conversation is one question unless it is stated. */
export function sent(body: JsonObject, model = 'claude-sonnet-4-5', dropParams = false): JsonObject {
  const request = exampleRequest({ model: 'chat', messages: [user('Hello!')], ...body });
  const call = anthropicAdapter({ dropParams }).toUpstream(request, deploymentOf(model));
  return JSON.parse(call.body.toString());
}
