/**
 * Rerank models, whose own format is nearly Cohere's API, which this gateway's `/rerank` is.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-use.html, https://docs.cohere.com/v2/reference/rerank
 */
import { modelIdOf } from '../../domain/bedrock-model.ts';
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamCall, UpstreamResponse, WholeReply } from '../adapter.ts';
import { inexpressible, malformed } from '../chat/refuse.ts';
import { listOf, objectOf, objectsOf, parseJson, present, printBody, textOf } from '../json.ts';
import { brokenStream } from '../vendor-error.ts';
import { invoke } from './invoke.ts';

export function toRerankCall({ body }: ModelRequest, deployment: Deployment): UpstreamCall {
  const modelId = modelIdOf(deployment.model);
  if (!modelId.includes('rerank')) {
    throw inexpressible('model', 'bedrock', 'rerank is for rerank models; this model is none');
  }
  return invoke(
    present({
      query: body['query'],
      documents: textsOf(body),
      top_n: body['top_n'] ?? undefined,
      // Of Cohere's models; Amazon's has none.
      api_version: modelId.includes('cohere') ? 2 : undefined,
    }),
    deployment,
  );
}

/** A document is a text, or an object with one. */
const textsOf = (body: JsonObject): string[] =>
  listOf(body['documents']).map((document, index) => {
    const text = typeof document === 'string' ? document : textOf(objectOf(document)['text']);
    if (text === undefined) throw malformed(`documents[${index}]`, 'a text, or an object with text');
    return text;
  });

/** The price is per query, so there are no tokens to report. */
export function toRerankReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply {
  const { results } = objectOf(parseJson(response.body.toString()));
  if (!Array.isArray(results)) throw brokenStream('the answer is no ranking', deployment);
  const documents = request.body['return_documents'] === true ? textsOf(request.body) : [];
  const ranked = objectsOf(results).map((result) => {
    const text = documents[Number(result['index'])];
    return present({
      index: result['index'],
      relevance_score: result['relevance_score'],
      document: text === undefined ? undefined : { text },
    });
  });
  return { body: printBody({ id: request.id, results: ranked }), usage: undefined };
}
