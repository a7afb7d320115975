import type { Deployment } from '../../../../gateway/domain/deployment.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { bedrockAdapter } from '../../../../gateway/providers/bedrock/adapter.ts';
import { exampleDeployment, exampleRequest } from '../../examples.ts';

export const adapter = bedrockAdapter({ dropParams: false });

export const claude = 'anthropic.claude-haiku-4-5-20251001-v1:0';

export const deploymentOf = (model: string, over: Partial<Deployment> = {}): Deployment =>
  exampleDeployment('bedrock-0', {
    provider: 'bedrock',
    model,
    origin: 'https://bedrock-runtime.eu-central-1.amazonaws.com',
    basePath: '',
    headers: {},
    ...over,
  });

export const deployment = deploymentOf(claude);

export const user = (content: unknown): JsonObject => ({ role: 'user', content });

/** The body for Bedrock of a client's request; the conversation is one question unless it is stated. */
export function sent(body: JsonObject, model = claude, dropParams = false): JsonObject {
  const request = exampleRequest({ model: 'chat', messages: [user('Hello!')], ...body });
  return JSON.parse(bedrockAdapter({ dropParams }).toUpstream(request, deploymentOf(model)).body.toString());
}
