/**
 * The most that a request may cost, before it is made: what a budget reserves. Pure but for a memory of groups; a few
 * multiplications for each deployment whose prices differ.
 */

import type { Estimate } from '../domain/admission.ts';
import type { Deployment } from '../domain/deployment.ts';
import type { JsonObject, ModelRequest, RequestedFallback } from '../domain/request.ts';
import { billedFor, copiesOf } from './billed.ts';
import type { Billed } from './cost.ts';
import { type BoundStep, boundsOf, type CostBound } from './cost-bound.ts';
import { promptMedia } from './prompt-size.ts';

/** Text has at most so many tokens for its bytes: a third, as scripts beyond ASCII have; random characters have more. */
const bytesPerToken = 3;
/** Of a picture in high resolution, by the models that count most (but for those that count cheap tokens by the ten thousand). */
const tokensPerImage = 5_000;
/** Sound, as the text of a JSON body: 16 kbit/s, and 25 tokens a second. */
const soundCharactersPerToken = 100;
/** Sound, as a file: bytes for one second at 16 kbit/s, and the words that fit into it. */
const soundBytesPerSecond = 2_000;
const soundTokensPerSecond = 25;
const spokenTokensPerSecond = 5;
/** Of an image that is made, in the best quality and the largest size. */
const tokensPerMadeImage = 7_000;
/** Of speech that is made, for each character. */
const tokensPerSpokenCharacter = 3;

export interface EstimateOptions {
  /** Tokens of an answer where neither the request nor the model's limits say. */
  readonly defaultOutputTokens: number;
  /**
   * Every deployment that may serve the group's requests: its own, and those of its fallbacks.
   * @param model what the client wrote, for groups that are patterns.
   * @param isAlone the configured fallbacks are not used.
   */
  readonly deploymentsFor: (group: string, model: string, isAlone: boolean) => readonly Deployment[];
}

/** Prices have at most twelve decimals, so a smaller part of a millionth is an error of binary fractions. */
const binaryFraction = 5e-7;

/** So many groups are remembered; a client may invent names for a pattern. */
const groupsKept = 1_000;
const longestKeyKept = 400;

export class CostEstimator {
  readonly #options: EstimateOptions;
  /** By group, and by model within a group that is a pattern. */
  readonly #bounds = new Map<string, readonly CostBound[] | undefined>();
  readonly #boundsAlone = new Map<string, readonly CostBound[] | undefined>();

  constructor(options: EstimateOptions) {
    this.#options = options;
  }

  /**
   * The provider may only use more by what the request does not tell: tools that it runs itself, pictures behind addresses
   * that are larger than any, answers longer than `default_output_tokens` where the model's own limit is not known.
   * @param promptTokens of the text, when somebody counted them.
   */
  estimate(request: ModelRequest, group: string, promptTokens?: number): Estimate {
    const bounds = this.#boundsOf(group, request);
    const size = sizeOf(request, promptTokens, bounds);
    const isUnstated = request.operation === 'chat' && size.outputTokens === undefined;
    const outputTokens = !isUnstated
      ? (size.outputTokens ?? 0)
      : bounds === undefined
        ? this.#options.defaultOutputTokens
        : longestOutput(bounds, size);
    const tokens = Math.ceil(size.promptTokens + size.soundTokens + outputTokens * size.copies);
    if (bounds === undefined) return { micros: undefined, tokens };
    const micros = this.#micros(bounds, request, size);
    // What a fallback states of its own is not bounded by what the request is allowed.
    if (micros === undefined || !isUnstated || size.fallbackOutputTokens > 0) return { micros, tokens };
    const microsPerToken = size.copies * dearestOutput(bounds, size);
    const openOutput = { tokens: outputTokens, microsPerToken };
    if (bounds.length === 1) return { micros, tokens, openOutput };
    // What less output would cost must follow from one price, so the parts of several models are added up.
    const prompt = this.#micros(bounds, request, { ...size, outputTokens: 0 }) ?? 0;
    return { micros: wholeMicros(prompt + outputTokens * microsPerToken), tokens, openOutput };
  }

  /**
   * Millionths of a dollar, rounded up, a safe integer; undefined when some deployment that may serve the request has no
   * known price for it.
   */
  estimateMicros(request: ModelRequest, group: string, promptTokens?: number): number | undefined {
    const bounds = this.#boundsOf(group, request);
    return bounds === undefined ? undefined : this.#micros(bounds, request, sizeOf(request, promptTokens, bounds));
  }

  #micros(bounds: readonly CostBound[], request: ModelRequest, size: RequestSize): number | undefined {
    let most = 0;
    for (const bound of bounds) {
      const cost = costAt(bound, request, size);
      if (cost === undefined) return undefined;
      if (cost > most) most = cost;
    }
    return wholeMicros(most);
  }

  #boundsOf(group: string, { model, overrides }: ModelRequest): readonly CostBound[] | undefined {
    const { fallbacks = noFallbacks, disableFallbacks } = overrides;
    // The fallbacks that a request names replace the configured ones.
    const isAlone = disableFallbacks || fallbacks.length > 0;
    const own = this.#boundsOfGroup(group, group.includes('*') ? model : '', isAlone);
    if (disableFallbacks || fallbacks.length === 0) return own;
    const all = [own, ...fallbacks.map(({ model: name }) => this.#boundsOfGroup(name, name, true))];
    return all.includes(undefined) ? undefined : all.flatMap((bounds) => bounds ?? []);
  }

  #boundsOfGroup(group: string, model: string, isAlone: boolean): readonly CostBound[] | undefined {
    const known = isAlone ? this.#boundsAlone : this.#bounds;
    // A text that is put together has to be hashed for each request anew.
    const key = model === '' ? group : `${group}\n${model}`;
    const remembered = known.get(key);
    if (remembered !== undefined || known.has(key)) return remembered;
    const bounds = boundsOf(this.#options.deploymentsFor(group, model, isAlone), this.#options.defaultOutputTokens);
    if (key.length > longestKeyKept) return bounds;
    if (known.size >= groupsKept) known.clear();
    known.set(key, bounds);
    return bounds;
  }
}

const noFallbacks: readonly RequestedFallback[] = [];

const wholeMicros = (micros: number): number =>
  Math.min(Math.max(0, Math.ceil(micros - binaryFraction)), Number.MAX_SAFE_INTEGER);

function dearestOutput(bounds: readonly CostBound[], size: RequestSize): number {
  let dearest = 0;
  for (const { steps } of bounds) {
    const step = stepAt(steps, size.promptTokens + size.soundTokens);
    dearest = Math.max(dearest, (size.answersInSound ? step.soundOutput : step.output) ?? 0);
  }
  return dearest;
}

function longestOutput(bounds: readonly CostBound[], { fallbackOutputTokens }: RequestSize): number {
  let longest = fallbackOutputTokens;
  for (const { outputTokens } of bounds) longest = Math.max(longest, outputTokens);
  return longest;
}

/** What a request asks for, in the units that are billed. */
interface RequestSize {
  /** Of text and pictures. */
  readonly promptTokens: number;
  readonly soundTokens: number;
  /** Of one answer, by the request or by a fallback that changes it; undefined = one of them does not say. */
  readonly outputTokens: number | undefined;
  /** What fallbacks that change the request state for themselves; 0 = nothing. */
  readonly fallbackOutputTokens: number;
  readonly copies: number;
  /** Parts of the prompt may be kept in a cache for an hour. */
  readonly keepsHour: boolean;
  readonly answersInSound: boolean;
  readonly billed: Billed;
}

function sizeOf(
  request: ModelRequest,
  counted: number | undefined,
  bounds: readonly CostBound[] | undefined,
): RequestSize {
  const { operation, body, bytes } = request;
  const isChat = operation === 'chat';
  const media = isChat ? promptMedia(body) : undefined;
  const text = bytes.length - (media === undefined ? 0 : media.imageCharacters + media.soundCharacters);
  return {
    promptTokens: (counted ?? Math.ceil(text / bytesPerToken)) + (media?.images ?? 0) * tokensPerImage,
    soundTokens: Math.ceil((media?.soundCharacters ?? 0) / soundCharactersPerToken),
    ...outputOf(request),
    // Long prompts are searched only for models that charge for it.
    keepsHour: isChat && bounds?.some(({ hasHourPrice }) => hasHourPrice) === true && bytes.includes(hourMark),
    answersInSound: isChat && Array.isArray(body['modalities']) && body['modalities'].includes('audio'),
    billed: billedFor(request),
  };
}

type OutputSize = Pick<RequestSize, 'outputTokens' | 'fallbackOutputTokens' | 'copies'>;

function outputOf({ operation, body, overrides: { fallbacks } }: ModelRequest): OutputSize {
  const isChat = operation === 'chat';
  if (fallbacks === undefined) {
    return { outputTokens: isChat ? statedOutput(body) : undefined, fallbackOutputTokens: 0, copies: copiesOf(body) };
  }
  // As it may be sent: by the client's word, and as its fallbacks change it. Their prompts stand in its bytes.
  const bodies = [
    body,
    ...fallbacks.flatMap(({ members }) => (members === undefined ? [] : [{ ...body, ...members }])),
  ];
  const stated = isChat ? bodies.map(statedOutput) : [undefined];
  return {
    outputTokens: stated.includes(undefined) ? undefined : Math.max(...stated.map((tokens) => tokens ?? 0)),
    fallbackOutputTokens: Math.max(0, ...stated.slice(1).map((tokens) => tokens ?? 0)),
    copies: Math.max(...bodies.map(copiesOf)),
  };
}

/** Anthropic's `"ttl": "1h"`. */
const hourMark = Buffer.from('"1h"');

/** OpenAI's two names, and that of its Responses API; the largest, since nobody knows which one a provider reads. */
export function statedOutput(body: JsonObject): number | undefined {
  let most: number | undefined;
  for (const member of ['max_tokens', 'max_completion_tokens', 'max_output_tokens']) {
    const stated = body[member];
    if (typeof stated === 'number' && stated >= 0 && stated > (most ?? -1)) most = stated;
  }
  return most;
}

/** Undefined when a price that the request needs is unknown. */
function costAt(bound: CostBound, request: ModelRequest, size: RequestSize): number | undefined {
  const step = stepAt(bound.steps, size.promptTokens + size.soundTokens);
  const cost = operationCost(bound, step, request, size);
  return cost === undefined ? undefined : cost + bound.request;
}

function operationCost(
  bound: CostBound,
  step: BoundStep,
  { operation, bytes }: ModelRequest,
  size: RequestSize,
): number | undefined {
  const { promptTokens, billed } = size;
  switch (operation) {
    case 'chat':
      return sum(
        times(promptTokens, size.keepsHour ? step.hourInput : step.input),
        times(size.soundTokens, step.soundInput),
        times(
          size.copies * (size.outputTokens ?? Math.max(bound.outputTokens, size.fallbackOutputTokens)),
          size.answersInSound ? step.soundOutput : step.output,
        ),
      );
    case 'embeddings':
    case 'moderations':
      return times(promptTokens, step.input);
    case 'images': {
      const images = billed.images ?? 1;
      const tokens = sum(times(promptTokens, step.input), times(images * tokensPerMadeImage, step.output));
      return either(times(images, bound.image), tokens);
    }
    case 'speech': {
      const characters = billed.characters ?? 0;
      const tokens = sum(
        times(promptTokens, step.input),
        times(characters * tokensPerSpokenCharacter, step.soundOutput),
      );
      return either(times(characters, bound.character), tokens);
    }
    case 'transcriptions': {
      const seconds = bytes.length / soundBytesPerSecond;
      const tokens = sum(
        times(seconds * soundTokensPerSecond, step.soundInput),
        times(seconds * spokenTokensPerSecond, step.output),
      );
      return either(times(seconds, bound.second), tokens);
    }
    case 'rerank':
      return either(times(billed.queries ?? 1, bound.query), times(promptTokens, step.input));
  }
}

function stepAt(steps: readonly BoundStep[], promptTokens: number): BoundStep {
  let reached: BoundStep | undefined;
  for (const step of steps) if (reached === undefined || promptTokens > step.aboveTokens) reached = step;
  return reached ?? unknownStep;
}

const unknownStep: BoundStep = {
  aboveTokens: 0,
  input: undefined,
  hourInput: undefined,
  soundInput: undefined,
  output: undefined,
  soundOutput: undefined,
};

/** What is not asked for costs nothing, whatever its price. */
const times = (count: number, price: number | undefined): number | undefined =>
  count === 0 ? 0 : price === undefined ? undefined : count * price;

function sum(...parts: readonly (number | undefined)[]): number | undefined {
  let total = 0;
  for (const part of parts) {
    if (part === undefined) return undefined;
    total += part;
  }
  return total;
}

/** Paid by the piece, by the token, or by both: what is known of them together. */
const either = (pieces: number | undefined, tokens: number | undefined): number | undefined =>
  pieces === undefined ? tokens : pieces + (tokens ?? 0);
