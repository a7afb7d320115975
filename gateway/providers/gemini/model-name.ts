/** What follows from a model's name: its address, and what differs between generations. https://ai.google.dev/gemini-api/docs/models */
import type { Deployment } from '../../domain/deployment.ts';

export interface GeminiTraits {
  /** How reasoning is asked for: not at all (before 2.5, and Gemma), by a number of tokens (2.5), or by a level (from 3 on). */
  readonly thinking: 'none' | 'budget' | 'level';
  /** Pro models always think. */
  readonly alwaysThinks: boolean;
  /** From 3 on calls have ids, and must come back with the signature of the thought behind them. */
  readonly signsCalls: boolean;
}

/** A name without a version (`gemini-flash-latest`) is taken as the newest. */
export function geminiTraits(model: string): GeminiTraits {
  const stated = /gemini-(\d+(?:\.\d+)?)/.exec(model)?.[1];
  const version = stated === undefined ? Number.POSITIVE_INFINITY : Number(stated);
  const isGemini = model.includes('gemini');
  return {
    thinking: !isGemini || version < 2.5 ? 'none' : version < 3 ? 'budget' : 'level',
    alwaysThinks: model.includes('-pro'),
    signsCalls: isGemini && version >= 3,
  };
}

/** Has what `/v1` has, and what is not there yet: preview models, new settings. */
const defaultBasePath = '/v1beta';

export const methodPath = ({ basePath, model }: Deployment, method: string): string =>
  `${basePath === '' ? defaultBasePath : basePath}/${modelPath(model)}:${method}`;

/** `gemini-2.5-pro` and `models/gemini-2.5-pro` are the same; tuned models have a collection of their own. */
const modelPath = (model: string): string =>
  /^(models|tunedModels)\//.test(model) ? model : `models/${encodeURIComponent(model)}`;
