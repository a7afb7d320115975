/** Which prices hold: by the day and hour of the request, and by the length of its prompt. */
import type { ModelPrices, PriceList, PricePeriod, UnitPrices } from '../domain/prices.ts';

const secondsOfDay = 86_400;

/** @param atMs wall clock. */
export function listAt(prices: ModelPrices, atMs: number): PriceList {
  return prices.periods?.findLast((period) => applies(period, atMs)) ?? prices;
}

/** The prices themselves, or the last tier that the prompt reaches. */
export function tierFor(list: PriceList, promptTokens: number): UnitPrices {
  return list.tiers?.findLast(({ aboveTokens }) => promptTokens > aboveTokens) ?? list;
}

function applies({ fromMs, daily }: PricePeriod, atMs: number): boolean {
  if (fromMs !== undefined && atMs < fromMs) return false;
  if (daily === undefined) return true;
  const second = (atMs / 1000) % secondsOfDay;
  const { fromSeconds, toSeconds } = daily;
  return toSeconds < fromSeconds
    ? second >= fromSeconds || second < toSeconds
    : second >= fromSeconds && second < toSeconds;
}
