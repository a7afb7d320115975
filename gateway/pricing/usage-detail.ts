/** From what a request has used to what of it is kept, and back. Pure. */
import type { Usage } from '../domain/answer.ts';
import type { UnpricedEntry } from '../domain/repricing.ts';
import type { SpendEvent } from '../domain/spend.ts';
import type { UsageDetail } from '../domain/usage-detail.ts';
import type { Billed } from './cost.ts';

/** @returns undefined for an ordinary request, whose cost follows from what every row has. */
export function usageDetailOf(usage: Usage | undefined, billed: Billed): UsageDetail | undefined {
  if (!hasMore(usage) && !hasMore(billed)) return undefined;
  const { promptTokens: _prompt, completionTokens: _completion, cachedPromptTokens: _cached, ...parts } = usage ?? none;
  const { atMs: _at, ...units } = billed;
  return { v: 1, ...parts, ...units };
}

const none: Usage = { promptTokens: 0, completionTokens: 0 };

const inEveryRow: ReadonlySet<string> = new Set(['promptTokens', 'completionTokens', 'cachedPromptTokens', 'atMs']);

/** Asked for every request: nothing is made of it. */
function hasMore(counts: Usage | Billed | undefined): boolean {
  for (const name in counts) if (!inEveryRow.has(name)) return true;
  return false;
}

/** What every row has of it, and the rest. */
export function usageColumns(
  usage: Usage | undefined,
  billed: Billed | undefined,
): Pick<SpendEvent, 'promptTokens' | 'completionTokens' | 'cachedTokens' | 'usageDetail'> {
  const usageDetail = billed === undefined ? undefined : usageDetailOf(usage, billed);
  return {
    promptTokens: usage?.promptTokens ?? null,
    completionTokens: usage?.completionTokens ?? null,
    ...(usage?.cachedPromptTokens === undefined ? undefined : { cachedTokens: usage.cachedPromptTokens }),
    ...(usageDetail === undefined ? undefined : { usageDetail }),
  };
}

/** What `costMicros` was given, or would have been, for a row of the ledger. */
export function usageOf(entry: UnpricedEntry): { readonly usage: Usage | undefined; readonly billed: Billed } {
  const { promptTokens, completionTokens, cachedTokens, usageDetail, atMs } = entry;
  const { v: _, images, characters, queries, heardMs, ...parts } = usageDetail ?? { v: 1 };
  const usage =
    promptTokens === null || completionTokens === null
      ? undefined
      : {
          promptTokens,
          completionTokens,
          ...(cachedTokens !== null && { cachedPromptTokens: cachedTokens }),
          ...parts,
        };
  return { usage, billed: { atMs, images, characters, queries, heardMs } };
}
