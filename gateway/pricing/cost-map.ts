/** LiteLLM's price map, `model_prices_and_context_window.json`, as a catalog. */
import { z } from 'zod';
import type { ModelCatalog, ModelFacts, ModelName } from '../domain/prices.ts';
import { isPriceMember, readFacts } from './litellm-prices.ts';
import { bareModelOf } from './names.ts';

/** A map that cannot be used: every fault at once, each with its place. It holds no secret. */
export class CostMapError extends Error {
  readonly faults: readonly string[];
  constructor(source: string, faults: readonly string[]) {
    super(
      `${source} has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    );
    this.name = 'CostMapError';
    this.faults = faults;
  }
}

const limits = ['max_tokens', 'max_input_tokens', 'max_output_tokens'];
const price = z.number().min(0);
const limit = z.number().min(0);
const mapSchema = z.record(z.string(), z.record(z.string(), z.unknown()));

/** Explains the members to people; its values are sentences. */
const sample = 'sample_spec';
/** `hd/1024-x-1792/dall-e-3`: the price depends on quality and size. */
const sizedImage = /^(?:.*\/)?\d+-x-\d+\/(.+)$/;

/** @throws CostMapError with all faults. */
export function readCostMap(text: string, source: string): ModelCatalog {
  const parsed = mapSchema.safeParse(parse(text, source));
  if (!parsed.success) {
    throw new CostMapError(
      source,
      parsed.error.issues.map(
        ({ path }) =>
          `${path.join('.') || '(file)'}: must be a block of members; write "model": {"input_cost_per_token": 0.000001}`,
      ),
    );
  }
  const { [sample]: _, ...models } = parsed.data;
  const faults = Object.entries(models).flatMap(([model, entry]) => faultsOf(model, entry));
  if (faults.length > 0) throw new CostMapError(source, faults);
  const sized = new Set(Object.keys(models).flatMap((name) => sizedImage.exec(name)?.[1] ?? []));
  const facts = new Map(
    Object.entries(models).map(([model, entry]) => [
      model.toLowerCase(),
      sized.has(model) ? withoutImagePrice(readFacts(entry)) : readFacts(entry),
    ]),
  );
  return {
    find: (name) => {
      const key = namesInMap(name).find((candidate) => facts.has(candidate));
      return key === undefined ? undefined : facts.get(key);
    },
  };
}

/** One price for every size would be wrong for most. */
function withoutImagePrice({ prices, ...facts }: ModelFacts): ModelFacts {
  const { costPerImage: _, ...others } = prices ?? {};
  return Object.keys(others).length === 0 ? facts : { ...facts, prices: others };
}

/** The map has some models under their provider's name, and some under their own alone. */
function namesInMap({ provider, model }: ModelName): string[] {
  const bare = bareModelOf({ provider, model });
  return [`${provider}/${model}`, model, `${provider}/${bare}`, bare].map((name) => name.toLowerCase());
}

function faultsOf(model: string, entry: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(entry).flatMap(([member, value]) => {
    if (value === null) return [];
    if (isPriceMember(member) && !price.safeParse(value).success) {
      return [
        `${model}.${member}: ${shown(value)} is no price; write dollars as a number of at least 0, for example 0.000001`,
      ];
    }
    // Some of LiteLLM's own limits are sentences; what is no number is no limit.
    if (limits.includes(member) && typeof value === 'number' && !limit.safeParse(value).success) {
      return [`${model}.${member}: ${value} is no number of tokens; write at least 0`];
    }
    return [];
  });
}

function parse(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new CostMapError(source, [`(file): is not valid JSON: ${error.message}`]);
  }
}

const shown = (value: unknown): string => (typeof value === 'string' ? `"${value.slice(0, 40)}"` : String(value));
