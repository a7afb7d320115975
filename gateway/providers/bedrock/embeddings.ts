/**
 * Embeddings of Titan and of Cohere, told apart by the model's id.
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed-v3.html and ...-v4.html
 */
import { modelIdOf } from '../../domain/bedrock-model.ts';
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { Batches, UpstreamResponse } from '../adapter.ts';
import { type AdapterOptions, inexpressible } from '../chat/refuse.ts';
import {
  type Embedded,
  type EmbeddingWish,
  inGroupsOf,
  printEmbeddings,
  readEmbeddingWish,
} from '../embeddings/embeddings.ts';
import { countOf, listOf, objectOf, parseJson, present } from '../json.ts';
import { inputTokensOf, invoke } from './invoke.ts';

interface Family {
  /** Texts in one call. */
  readonly mostTexts: number;
  readonly takesDimensions: boolean;
  body(texts: readonly string[], wish: EmbeddingWish): JsonObject;
  vectors(answer: JsonObject): readonly unknown[];
}

const titan = (takesDimensions: boolean): Family => ({
  mostTexts: 1,
  takesDimensions,
  body: ([inputText], { own, dimensions }) => present({ ...own, inputText, dimensions }),
  vectors: (answer) => [answer['embedding']],
});

const cohere = (takesDimensions: boolean): Family => ({
  mostTexts: 96,
  takesDimensions,
  body: (texts, { own, dimensions }) =>
    present({
      // Required; LiteLLM's default. A client that searches says `input_type: search_query`.
      input_type: 'search_document',
      ...own,
      texts,
      output_dimension: dimensions,
      embedding_types: takesDimensions ? ['float'] : undefined,
    }),
  vectors: ({ embeddings }) => (Array.isArray(embeddings) ? embeddings : listOf(objectOf(embeddings)['float'])),
});

function familyOf(modelId: string): Family {
  if (modelId.includes('titan-embed-text-v2')) return titan(true);
  if (/titan-embed-(g1-)?text/.test(modelId)) return titan(false);
  if (modelId.includes('cohere.embed-v4')) return cohere(true);
  if (modelId.includes('cohere.embed')) return cohere(false);
  throw inexpressible('model', 'bedrock', 'embeddings are those of Titan Text and Cohere Embed; this model is neither');
}

export function embeddingBatches(request: ModelRequest, deployment: Deployment, options: AdapterOptions): Batches {
  const family = familyOf(modelIdOf(deployment.model));
  const read = readEmbeddingWish(request.body, 'bedrock');
  const wish = family.takesDimensions ? read : withoutDimensions(read, options);
  return {
    calls: inGroupsOf(family.mostTexts, wish.texts).map((texts) => invoke(family.body(texts, wish), deployment)),
    toReply: (responses) =>
      printEmbeddings(
        responses.map((response) => readEmbedded(response, family)),
        wish,
        deployment,
      ),
  };
}

function withoutDimensions(wish: EmbeddingWish, options: AdapterOptions): EmbeddingWish {
  if (wish.dimensions === undefined || options.dropParams) return { ...wish, dimensions: undefined };
  throw inexpressible('dimensions', 'bedrock', 'this model has vectors of one length only');
}

function readEmbedded(response: UpstreamResponse, family: Family): Embedded {
  const answer = objectOf(parseJson(response.body.toString()));
  const counted = answer['inputTextTokenCount'];
  return {
    vectors: family.vectors(answer),
    tokens: counted === undefined ? inputTokensOf(response) : countOf(counted),
  };
}
