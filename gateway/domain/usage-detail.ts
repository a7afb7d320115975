/**
 * What a request's price was computed from besides its token totals and what was read from a cache, as spend events and
 * rows of the ledger keep it: enough to compute it again from other prices, to the last millionth.
 */
import { z } from 'zod';

const count = z.int().min(0).optional();

/**
 * Members are those of `Usage` and `Billed`. Whoever adds one raises `v`: a gateway that does not know what it means must
 * leave the row alone.
 */
export const usageDetailSchema = z.strictObject({
  v: z.literal(1),
  cacheWriteTokens: count,
  hourCacheWriteTokens: count,
  audioPromptTokens: count,
  reasoningTokens: count,
  audioCompletionTokens: count,
  images: count,
  characters: count,
  queries: count,
  heardMs: count,
});

export type UsageDetail = Readonly<z.infer<typeof usageDetailSchema>>;
