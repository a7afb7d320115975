/** What a request is billed for besides its tokens, told by its body and its answer. */
import type { JsonObject, ModelRequest } from '../domain/request.ts';
import type { Billed } from './cost.ts';

/** A search of a rerank covers so many documents (Cohere's number). */
const documentsPerQuery = 100;

/** @param heardMs as the answer tells it, if it does. */
export function billedFor({ operation, body, startedAtMs: atMs }: ModelRequest, heardMs?: number): Billed {
  switch (operation) {
    case 'images':
      return { atMs, images: copiesOf(body) };
    case 'speech':
      return { atMs, characters: typeof body['input'] === 'string' ? body['input'].length : 0 };
    case 'rerank':
      return {
        atMs,
        queries: Array.isArray(body['documents']) ? Math.ceil(body['documents'].length / documentsPerQuery) : 1,
      };
    case 'chat':
    case 'embeddings':
    case 'moderations':
      return { atMs };
    case 'transcriptions':
      return heardMs === undefined ? { atMs } : { atMs, heardMs };
  }
}

/** `n`: how many answers or images are asked for. */
export function copiesOf(body: JsonObject): number {
  const copies = body['n'];
  return typeof copies === 'number' && Number.isSafeInteger(copies) && copies > 0 ? copies : 1;
}
