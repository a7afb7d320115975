/**
 * OpenAI's embeddings for providers with a wire format of their own: what a client asks for, and the answer in its format.
 * https://platform.openai.com/docs/api-reference/embeddings
 */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject } from '../../domain/request.ts';
import type { WholeReply } from '../adapter.ts';
import { inexpressible, malformed } from '../chat/refuse.ts';
import { gatewayMembers } from '../gateway-members.ts';
import { printBody } from '../json.ts';
import { brokenStream } from '../vendor-error.ts';

export interface EmbeddingWish {
  readonly texts: readonly string[];
  readonly dimensions: number | undefined;
  /** OpenAI's own clients ask for base64 when their user does not say: a third of the bytes. */
  readonly encoding: 'float' | 'base64';
  /** Members of the provider's own API. */
  readonly own: JsonObject;
}

/** OpenAI's limit. */
const mostTexts = 2048;

const knownMembers: ReadonlySet<string> = new Set(['model', 'input', 'dimensions', 'encoding_format', 'user']);

/** @throws Refusal 400 that names the parameter. */
export function readEmbeddingWish(body: JsonObject, provider: string): EmbeddingWish {
  const encoding = body['encoding_format'] ?? 'float';
  if (encoding !== 'float' && encoding !== 'base64') throw malformed('encoding_format', 'float or base64');
  const dimensions = body['dimensions'] ?? undefined;
  if (dimensions !== undefined && !isCount(dimensions)) throw malformed('dimensions', 'a whole number of at least 1');
  return {
    texts: readTexts(body['input'], provider),
    dimensions,
    encoding,
    own: Object.fromEntries(
      Object.entries(body).filter(
        ([name, value]) =>
          value !== undefined && value !== null && !knownMembers.has(name) && !gatewayMembers.has(name),
      ),
    ),
  };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0;

function readTexts(input: unknown, provider: string): string[] {
  const items: readonly unknown[] = Array.isArray(input) ? input : [input];
  if (items.length === 0 || items.length > mostTexts) throw malformed('input', `one to ${mostTexts} texts`);
  return items.map((item, index) => {
    if (typeof item === 'string' && item !== '') return item;
    if (typeof item === 'number' || Array.isArray(item)) {
      throw inexpressible('input', provider, 'it takes text; tokens are those of another model');
    }
    throw malformed(Array.isArray(input) ? `input[${index}]` : 'input', 'a text that is not empty');
  });
}

/** Texts in groups of what the provider takes at once. */
export const inGroupsOf = (most: number, texts: readonly string[]): string[][] =>
  Array.from({ length: Math.ceil(texts.length / most) }, (_, group) => texts.slice(group * most, (group + 1) * most));

export interface Embedded {
  /** As the provider sent them. */
  readonly vectors: readonly unknown[];
  /** Tokens of the input; undefined when the provider does not tell. */
  readonly tokens: number | undefined;
}

/** @throws UpstreamError when there is not one vector for each text. */
export function printEmbeddings(parts: readonly Embedded[], wish: EmbeddingWish, deployment: Deployment): WholeReply {
  const vectors = parts.flatMap((part) => part.vectors);
  if (vectors.length !== wish.texts.length) {
    throw brokenStream(`${vectors.length} vectors came for ${wish.texts.length} texts`, deployment);
  }
  const data = vectors.map((vector, index) => {
    if (!isVector(vector)) throw brokenStream('the answer holds something that is no vector', deployment);
    return { object: 'embedding', index, embedding: wish.encoding === 'base64' ? toBase64(vector) : vector };
  });
  const tokens = parts.reduce<number | undefined>(
    (sum, part) => (sum === undefined || part.tokens === undefined ? undefined : sum + part.tokens),
    0,
  );
  return {
    body: printBody({
      object: 'list',
      data,
      model: deployment.model,
      ...(tokens === undefined ? {} : { usage: { prompt_tokens: tokens, total_tokens: tokens } }),
    }),
    usage: tokens === undefined ? undefined : { promptTokens: tokens, completionTokens: 0 },
  };
}

const isVector = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'number');

/** Numbers of 32 bits, the lowest byte first, on every machine. */
function toBase64(vector: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(vector.length * 4);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4);
  return bytes.toString('base64');
}
