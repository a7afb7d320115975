/** Pages of the Models API. https://platform.claude.com/docs/en/api/models-list */
import { Refusal } from '../domain/errors.ts';

export interface PageQuery {
  readonly limit: number;
  readonly afterId: string | undefined;
  readonly beforeId: string | undefined;
}

export interface Page {
  readonly data: readonly string[];
  readonly has_more: boolean;
  readonly first_id: string | null;
  readonly last_id: string | null;
}

const usualLimit = 20;
const largestLimit = 1_000;

/** @throws Refusal 400 for a limit that is none. */
export function readPage(query: Readonly<Record<string, unknown>>): PageQuery {
  const { limit = String(usualLimit), after_id: afterId, before_id: beforeId } = query;
  const number = typeof limit === 'string' && /^\d+$/.test(limit) ? Number(limit) : 0;
  if (number < 1 || number > largestLimit) {
    throw new Refusal({
      status: 400,
      type: 'invalid_request_error',
      param: 'limit',
      message: `limit must be a number from 1 to ${largestLimit}`,
    });
  }
  return {
    limit: number,
    afterId: typeof afterId === 'string' ? afterId : undefined,
    beforeId: typeof beforeId === 'string' ? beforeId : undefined,
  };
}

/** Going back (`before_id`), there is more if something stands before the page. An id that is gone ends the list. */
export function toPage(ids: readonly string[], { limit, afterId, beforeId }: PageQuery): Page {
  const back = beforeId !== undefined && afterId === undefined;
  const from = afterId === undefined ? 0 : indexOr(ids, afterId, ids.length) + 1;
  const to = back ? indexOr(ids, beforeId, 0) : ids.length;
  const data = back ? ids.slice(Math.max(0, to - limit), to) : ids.slice(from, from + limit);
  return {
    data,
    has_more: back ? to > limit : from + limit < ids.length,
    first_id: data[0] ?? null,
    last_id: data.at(-1) ?? null,
  };
}

function indexOr(ids: readonly string[], id: string, otherwise: number): number {
  const index = ids.indexOf(id);
  return index === -1 ? otherwise : index;
}
