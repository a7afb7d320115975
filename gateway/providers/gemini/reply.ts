/** A whole answer of generateContent as a `chat.completion`. https://ai.google.dev/api/generate-content#generatecontentresponse */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamResponse, WholeReply } from '../adapter.ts';
import { type CompletionChoice, printCompletion } from '../chat/completion.ts';
import { toUsage } from '../chat/usage.ts';
import { objectOf, objectsOf, parseJson, textOf } from '../json.ts';
import { brokenStream } from '../vendor-error.ts';
import { readCandidateParts } from './candidate.ts';
import { blocked, fromStream } from './errors.ts';
import { toFinishReason } from './finish-reason.ts';
import { toLogprobs } from './logprobs.ts';
import { readUsage } from './usage.ts';

/** @throws UpstreamError when this is no answer, or the prompt was blocked. */
export function toReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply {
  const body = objectOf(parseJson(response.body.toString()));
  if (body['error'] !== undefined) throw fromStream(body['error'], deployment);
  const candidates = objectsOf(body['candidates']);
  if (candidates.length === 0) {
    throw blocked(body['promptFeedback'], deployment) ?? brokenStream('the answer has no candidates', deployment);
  }
  const id = textOf(body['responseId']) ?? `chatcmpl-${request.id}`;
  let calls = 0;
  const newId = (): string => `call_${id}_${calls++}`;
  const usage = readUsage(body['usageMetadata']);
  const completion = printCompletion(
    {
      id,
      model: textOf(body['modelVersion']) ?? deployment.model,
      choices: candidates.map((candidate) => toChoice(candidate, newId)),
      usage,
    },
    request,
  );
  return { body: completion, usage: usage === undefined ? undefined : toUsage(usage) };
}

function toChoice(candidate: JsonObject, newId: () => string): CompletionChoice {
  const parts = readCandidateParts(candidate, newId);
  const calls = parts.filter((part) => part.is === 'call');
  const thoughts = parts.flatMap((part) => (part.is === 'thought' ? [part.text] : [])).join('');
  return {
    text: parts.map((part) => (part.is === 'text' ? part.text : '')).join(''),
    // Summaries are not signed: they are told, and not taken back.
    thinking: thoughts === '' ? [] : [{ type: 'thinking', thinking: thoughts }],
    calls,
    finishReason: toFinishReason(candidate['finishReason'], calls.length > 0),
    logprobs: toLogprobs(candidate['logprobsResult']),
  };
}
