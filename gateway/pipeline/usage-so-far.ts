/** What a stream has used at its end, whatever that is: as reported, and estimated as far as nobody reported it. */
import type { ChunkSource, Ending, Usage } from '../domain/answer.ts';
import type { ModelRequest } from '../domain/request.ts';
import { copiesOf } from '../pricing/billed.ts';
import { statedOutput } from '../pricing/estimate.ts';
import { promptMedia } from '../pricing/prompt-size.ts';
import { estimatePromptTokens } from './prompt-tokens.ts';

export interface UsageSoFar {
  readonly usage: Usage | undefined;
  /** Some of it nobody reported. */
  readonly estimated: boolean;
}

/** Of a picture as most clients send it; what an answer that broke has cost is a guess between too little and too much. */
const tokensPerImage = 1_000;

export function usageSoFar(
  ending: Ending,
  request: ModelRequest,
  chunks: Pick<ChunkSource, 'usage' | 'unreportedTokens'>,
): UsageSoFar {
  const reported = chunks.usage();
  // The report of an answer that ended covers all of it. Only a chat's chunks can be read as text.
  if ((reported !== undefined && ending === 'finished') || request.operation !== 'chat') {
    return { usage: reported, estimated: false };
  }
  const unreported = chunks.unreportedTokens();
  if (reported !== undefined && unreported === 0) return { usage: reported, estimated: false };
  const usage = reported ?? { promptTokens: promptTokens(request), completionTokens: 0 };
  const completionTokens = Math.min(usage.completionTokens + unreported, mostOutput(request));
  return {
    usage: { ...usage, completionTokens: Math.max(completionTokens, usage.completionTokens) },
    estimated: true,
  };
}

const promptTokens = (request: ModelRequest): number =>
  estimatePromptTokens(request) + promptMedia(request.body).images * tokensPerImage;

/** Nobody bills more than what was allowed. */
const mostOutput = ({ body }: ModelRequest): number =>
  (statedOutput(body) ?? Number.POSITIVE_INFINITY) * copiesOf(body);
