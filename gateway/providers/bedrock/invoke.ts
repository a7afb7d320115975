/** InvokeModel: the model's own format, for what Converse cannot do. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html */
import { encodeModelId, modelIdOf } from '../../domain/bedrock-model.ts';
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject } from '../../domain/request.ts';
import type { UpstreamCall, UpstreamResponse } from '../adapter.ts';
import { printBody } from '../json.ts';
import { headerOf } from '../retry-advice.ts';

export const invoke = (body: JsonObject, deployment: Deployment): UpstreamCall => ({
  origin: deployment.origin,
  path: `${deployment.basePath}/model/${encodeModelId(modelIdOf(deployment.model))}/invoke`,
  headers: { ...deployment.headers, 'content-type': 'application/json', accept: 'application/json' },
  body: printBody(body),
});

/** Bedrock counts the input of every call; some models do not in their answer. */
export function inputTokensOf(response: UpstreamResponse): number | undefined {
  const stated = headerOf(response.headers, 'x-amzn-bedrock-input-token-count');
  return stated !== undefined && /^\d{1,12}$/.test(stated) ? Number(stated) : undefined;
}
