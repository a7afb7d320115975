/** What each provider reports of its tokens, as one shape: totals of every kind, and the parts that have prices of their own. */
import { describe, expect, it } from 'vitest';
import type { Usage } from '../../../gateway/domain/answer.ts';
import { readUsage as readAnthropic } from '../../../gateway/providers/anthropic/usage.ts';
import { readUsage as readBedrock } from '../../../gateway/providers/bedrock/usage.ts';
import { printUsage, toUsage } from '../../../gateway/providers/chat/usage.ts';
import { readUsage as readGemini } from '../../../gateway/providers/gemini/usage.ts';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';

const heardByOpenAI = (answer: object) => {
  const { usage, heardMs } = openAIAdapter.toReply(
    { status: 200, contentType: 'application/json', headers: {}, body: Buffer.from(JSON.stringify(answer)) },
    exampleRequest(undefined, { operation: 'transcriptions' }),
    exampleDeployment('d'),
  );
  return { usage, heardMs };
};

const usageOfOpenAI = (usage: unknown): Usage | undefined =>
  openAIAdapter.toReply(
    {
      status: 200,
      contentType: 'application/json',
      headers: {},
      body: Buffer.from(JSON.stringify({ usage })),
    },
    exampleRequest(),
    exampleDeployment('d'),
  ).usage;

describe('token counts of an answer', () => {
  it.each<[string, Usage | undefined, Usage]>([
    [
      // https://platform.openai.com/docs/api-reference/chat/object; `cache_write_tokens` from openai/resources/completions.d.ts
      'OpenAI: parts are within the totals',
      usageOfOpenAI({
        prompt_tokens: 2006,
        completion_tokens: 300,
        total_tokens: 2306,
        prompt_tokens_details: { cached_tokens: 1920, audio_tokens: 20, cache_write_tokens: 40 },
        completion_tokens_details: { reasoning_tokens: 192, audio_tokens: 8, accepted_prediction_tokens: 0 },
      }),
      {
        promptTokens: 2006,
        completionTokens: 300,
        cachedPromptTokens: 1920,
        cacheWriteTokens: 40,
        audioPromptTokens: 20,
        reasoningTokens: 192,
        audioCompletionTokens: 8,
      },
    ],
    [
      'OpenAI: details of nothing are left out',
      usageOfOpenAI({
        prompt_tokens: 9,
        completion_tokens: 3,
        prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
        completion_tokens_details: null,
      }),
      { promptTokens: 9, completionTokens: 3 },
    ],
    [
      // https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
      'Anthropic: cached tokens are added to the total',
      toUsage(
        readAnthropic({
          input_tokens: 50,
          cache_read_input_tokens: 100_000,
          cache_creation_input_tokens: 456,
          cache_creation: { ephemeral_5m_input_tokens: 56, ephemeral_1h_input_tokens: 400 },
          output_tokens: 503,
          output_tokens_details: { thinking_tokens: 200 },
        }) ?? fail(),
      ),
      {
        promptTokens: 100_506,
        completionTokens: 503,
        cachedPromptTokens: 100_000,
        cacheWriteTokens: 456,
        hourCacheWriteTokens: 400,
        reasoningTokens: 200,
      },
    ],
    [
      'Anthropic: what the end of a stream does not repeat is kept from its start',
      toUsage(
        readAnthropic(
          { output_tokens: 15 },
          readAnthropic({
            input_tokens: 25,
            cache_read_input_tokens: 7,
            cache_creation_input_tokens: 5,
            cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 5 },
            output_tokens: 1,
          }),
        ) ?? fail(),
      ),
      {
        promptTokens: 37,
        completionTokens: 15,
        cachedPromptTokens: 7,
        cacheWriteTokens: 5,
        hourCacheWriteTokens: 5,
      },
    ],
    [
      // https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html
      'Bedrock: cached tokens are added to the total',
      toUsage(
        readBedrock({
          inputTokens: 12,
          outputTokens: 10,
          totalTokens: 2170,
          cacheReadInputTokens: 2048,
          cacheWriteInputTokens: 100,
          cacheDetails: [
            { inputTokens: 30, ttl: '5m' },
            { inputTokens: 70, ttl: '1h' },
          ],
        }) ?? fail(),
      ),
      {
        promptTokens: 2160,
        completionTokens: 10,
        cachedPromptTokens: 2048,
        cacheWriteTokens: 100,
        hourCacheWriteTokens: 70,
      },
    ],
    [
      // https://ai.google.dev/api/generate-content#UsageMetadata
      'Gemini: thoughts are added to the answer, results of its own tools to the prompt',
      toUsage(
        readGemini({
          promptTokenCount: 100,
          toolUsePromptTokenCount: 11,
          candidatesTokenCount: 10,
          thoughtsTokenCount: 30,
          cachedContentTokenCount: 64,
          promptTokensDetails: [
            { modality: 'TEXT', tokenCount: 75 },
            { modality: 'AUDIO', tokenCount: 25 },
          ],
        }) ?? fail(),
      ),
      { promptTokens: 111, completionTokens: 40, cachedPromptTokens: 64, audioPromptTokens: 25, reasoningTokens: 30 },
    ],
  ])('%s', (_case, usage, expected) => {
    expect(usage).toEqual(expected);
  });

  it.each([
    [
      'tokens, those of its sound among them',
      {
        input_tokens: 14,
        input_token_details: { text_tokens: 4, audio_tokens: 10 },
        output_tokens: 45,
        total_tokens: 59,
        type: 'tokens',
      },
      undefined,
      { promptTokens: 14, completionTokens: 45, audioPromptTokens: 10 },
      undefined,
    ],
    [
      'the seconds that are billed, before the length of the file',
      { type: 'duration', seconds: 9 },
      8.47,
      undefined,
      9_000,
    ],
    ['the length of the file, where nothing is said of the bill', undefined, 8.47, undefined, 8_470],
    ['the same as a text, as it once was', undefined, '8.47', undefined, 8_470],
    [
      'Mistral’s seconds and tokens',
      { prompt_audio_seconds: 203, prompt_tokens: 4, total_tokens: 3264, completion_tokens: 635 },
      undefined,
      { promptTokens: 4, completionTokens: 635 },
      203_000,
    ],
    ['nothing', undefined, undefined, undefined, undefined],
    ['nothing that makes sense', 7, 'long', undefined, undefined],
  ])('a transcription is paid by %s', (_by, usage, duration, tokens, heardMs) => {
    expect(heardByOpenAI({ text: 'Hello', duration, usage })).toEqual({ usage: tokens, heardMs });
  });

  it('the client sees the same parts under OpenAI’s names', () => {
    const counts = { prompt: 111, completion: 40, cacheRead: 64, cacheWrite: 0, audio: 25, reasoning: 30 };
    expect(printUsage(counts)).toMatchObject({
      prompt_tokens: 111,
      prompt_tokens_details: { cached_tokens: 64, audio_tokens: 25 },
      completion_tokens_details: { reasoning_tokens: 30 },
    });
  });
});

function fail(): never {
  throw new Error('no token counts were read');
}
