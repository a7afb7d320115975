/** Embeddings with batchEmbedContents, which takes one text as well as many. https://ai.google.dev/api/embeddings */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { Batches, UpstreamResponse } from '../adapter.ts';
import {
  type Embedded,
  type EmbeddingWish,
  inGroupsOf,
  printEmbeddings,
  readEmbeddingWish,
} from '../embeddings/embeddings.ts';
import { countOf, isObject, objectOf, objectsOf, parseJson, present, printBody } from '../json.ts';
import { methodPath } from './model-name.ts';

/** "At most 100 requests can be in one batch", the API says. */
const mostTexts = 100;

export function embeddingBatches(request: ModelRequest, deployment: Deployment): Batches {
  const wish = readEmbeddingWish(request.body, 'gemini');
  return {
    calls: inGroupsOf(mostTexts, wish.texts).map((texts) => ({
      origin: deployment.origin,
      path: methodPath(deployment, 'batchEmbedContents'),
      headers: { ...deployment.headers, 'content-type': 'application/json' },
      body: printBody({ requests: texts.map((text) => toRequest(text, wish, deployment.model)) }),
    })),
    toReply: (responses) => printEmbeddings(responses.map(readEmbedded), wish, deployment),
  };
}

/** Clients of LiteLLM write Google's names with underscores. */
const ownNames: Readonly<Record<string, string>> = {
  task_type: 'taskType',
  output_dimensionality: 'outputDimensionality',
};

function toRequest(text: string, wish: EmbeddingWish, model: string): JsonObject {
  return present({
    ...Object.fromEntries(Object.entries(wish.own).map(([name, value]) => [ownNames[name] ?? name, value])),
    model: /^(models|tunedModels)\//.test(model) ? model : `models/${model}`,
    content: { parts: [{ text }] },
    ...(wish.dimensions === undefined ? {} : { outputDimensionality: wish.dimensions }),
  });
}

function readEmbedded(response: UpstreamResponse): Embedded {
  const body = objectOf(parseJson(response.body.toString()));
  const usage = body['usageMetadata'];
  return {
    vectors: objectsOf(body['embeddings']).map(({ values }) => values),
    tokens: isObject(usage) ? countOf(usage['promptTokenCount']) : undefined,
  };
}
