/** What a deployment must be able to do for a request, in the group that is asked now. */
import type { ModelRequest } from '../domain/request.ts';
import type { Router, Wanted } from '../routing/router.ts';
import type { PromptCounter } from './count-prompt.ts';
import { acceptedFrom } from './native-only.ts';
import { promptTextBytes, tokensOfBytes } from './prompt-tokens.ts';

export interface WantedDependencies {
  readonly router: Router;
  /** Where prompts are compared with context windows. */
  readonly counter?: PromptCounter;
}

/** A promise only where a prompt has to be counted, since it is near a window of the group that is entered. */
export function wantedBy(
  request: ModelRequest,
  current: string,
  signal: AbortSignal,
  { router, counter }: WantedDependencies,
): Wanted | Promise<Wanted> {
  const textBytes = promptTextBytes(request);
  const estimate = { textBytes, tokens: tokensOfBytes(textBytes) };
  const counted = counter?.tokensFor(request, router.directory.deployments(current), estimate, signal);
  const { allowedRegions } = request.overrides;
  const withTokens = (promptTokens: number): Wanted => ({
    tags: request.tags,
    stream: request.stream,
    promptTokens,
    ...(allowedRegions === undefined ? {} : { regions: allowedRegions }),
    ...acceptedFrom(request),
  });
  return counted instanceof Promise ? counted.then(withTokens) : withTokens(counted ?? estimate.tokens);
}
