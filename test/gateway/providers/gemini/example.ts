import type { Deployment } from '../../../../gateway/domain/deployment.ts';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { geminiAdapter } from '../../../../gateway/providers/gemini/adapter.ts';
import { exampleDeployment, exampleRequest } from '../../examples.ts';

export const adapter = geminiAdapter({ dropParams: false });

export const deploymentOf = (model: string, over: Partial<Deployment> = {}): Deployment =>
  exampleDeployment('gemini-0', {
    provider: 'gemini',
    model,
    origin: 'https://generativelanguage.googleapis.com',
    basePath: '',
    headers: { 'x-goog-api-key': 'AIza-secret' },
    ...over,
  });

export const deployment = deploymentOf('gemini-2.5-flash');

export const user = (content: unknown): JsonObject => ({ role: 'user', content });

/** The body for Gemini of a client's request; the conversation is one question unless it is stated. */
export function sent(body: JsonObject, model = 'gemini-2.5-flash', dropParams = false): JsonObject {
  const request = exampleRequest({ model: 'chat', messages: [user('Hello!')], ...body });
  return JSON.parse(geminiAdapter({ dropParams }).toUpstream(request, deploymentOf(model)).body.toString());
}
