/**
 * What a provider charges and how much its model takes. A price that nobody stated is unknown, and so is the cost of what it
 * is for: never 0. All prices are US dollars; each number stands for its shortest decimal form and is exact as such.
 */

export interface UnitPrices {
  readonly inputCostPerToken?: number;
  readonly outputCostPerToken?: number;
  /** Of input tokens that were read from the provider's prompt cache; without it they cost what others do. */
  readonly cacheReadCostPerToken?: number;
  /** Of input tokens that were written to it; without it they cost what others do. */
  readonly cacheWriteCostPerToken?: number;
  /** The same, to be kept for an hour. */
  readonly hourCacheWriteCostPerToken?: number;
  readonly inputAudioCostPerToken?: number;
  readonly outputAudioCostPerToken?: number;
  /** Without it reasoning costs what other output does. */
  readonly reasoningCostPerToken?: number;
  /** For every request, whatever else it costs. */
  readonly costPerRequest?: number;
  /** For every image that is made. */
  readonly costPerImage?: number;
  /** For every character that is spoken. */
  readonly costPerCharacter?: number;
  /** For every second of sound that is heard. */
  readonly costPerSecond?: number;
  /** For every search of a rerank. */
  readonly costPerQuery?: number;
}

/** Prices of a request whose prompt is longer than so many tokens: they hold for all of its tokens. */
export interface PriceTier extends UnitPrices {
  readonly aboveTokens: number;
}

export interface PriceList extends UnitPrices {
  /** The longest prompts last; what a tier does not state costs as above. */
  readonly tiers?: readonly PriceTier[];
}

/** Prices that hold from a day on, or at some hours of each day. */
export interface PricePeriod extends PriceList {
  /** Wall clock, milliseconds. */
  readonly fromMs?: number;
  /** Seconds of the day, UTC; `to` may be the smaller one, behind midnight. */
  readonly daily?: { readonly fromSeconds: number; readonly toSeconds: number };
}

export interface ModelPrices extends PriceList {
  /** The last one that applies replaces all of the above. */
  readonly periods?: readonly PricePeriod[];
}

/** What is known of a model besides how to reach it. */
export interface ModelFacts {
  readonly prices?: ModelPrices;
  /** Context window of the prompt. */
  readonly maxInputTokens?: number;
  readonly maxOutputTokens?: number;
}

/** How price lists name a model. */
export interface ModelName {
  /** LiteLLM's name of the provider, for example `azure`. */
  readonly provider: string;
  readonly model: string;
}

/** A list of models. It answers at once. */
export interface ModelCatalog {
  find(name: ModelName): ModelFacts | undefined;
}
