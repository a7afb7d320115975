/** The official SDK as judge: it sends what the adapter sends, and it accepts the fixtures. */
import { FunctionCallingConfigMode, type GenerateContentParameters, GoogleGenAI, ThinkingLevel } from '@google/genai';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import blocked from '../../../fixtures/providers/gemini/blocked.json' with { type: 'json' };
import errors from '../../../fixtures/providers/gemini/errors.json' with { type: 'json' };
import streamText from '../../../fixtures/providers/gemini/stream-text.json' with { type: 'json' };
import streamTools from '../../../fixtures/providers/gemini/stream-tools.json' with { type: 'json' };
import streamTwo from '../../../fixtures/providers/gemini/stream-two.json' with { type: 'json' };
import whole from '../../../fixtures/providers/gemini/whole.json' with { type: 'json' };
import wholeTools from '../../../fixtures/providers/gemini/whole-tools.json' with { type: 'json' };
import wholeTwo from '../../../fixtures/providers/gemini/whole-two.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { type CannedAnswer, eventStream, recordingServer } from '../translating/recording-server.ts';
import { adapter, deploymentOf } from './example.ts';

async function sdkAt(answer: CannedAnswer) {
  const { origin, requests } = await recordingServer(answer);
  const client = new GoogleGenAI({
    apiKey: 'AIza-secret',
    httpOptions: { baseUrl: origin, apiVersion: 'v1beta', retryOptions: { attempts: 1 } },
  });
  return { models: client.models, requests };
}

const streamAnswer = (events: readonly object[]): CannedAnswer => ({
  contentType: 'text/event-stream',
  body: eventStream(events),
});
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

/** An OpenAI request, and what a user of the SDK would write for the same. */
const equivalents: readonly { name: string; openai: JsonObject; gemini: GenerateContentParameters }[] = [
  {
    name: 'a question',
    openai: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello!' },
      ],
      n: 2,
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 3,
      stop: 'END',
      seed: 7,
      frequency_penalty: 0.1,
      presence_penalty: 0.2,
      logprobs: true,
      top_logprobs: 2,
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema: parameters } },
    },
    gemini: {
      model: 'gemini-2.5-flash',
      contents: [{ role: 'user', parts: [{ text: 'Hello!' }] }],
      config: {
        systemInstruction: { parts: [{ text: 'Be brief.' }] },
        candidateCount: 2,
        maxOutputTokens: 100,
        temperature: 0.5,
        topP: 0.9,
        topK: 3,
        stopSequences: ['END'],
        seed: 7,
        frequencyPenalty: 0.1,
        presencePenalty: 0.2,
        responseLogprobs: true,
        logprobs: 2,
        thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 },
        responseMimeType: 'application/json',
        responseJsonSchema: parameters,
      },
    },
  },
  {
    name: 'a turn of an agent',
    openai: {
      reasoning_effort: 'high',
      tools: [
        { type: 'function', function: { name: 'get_weather', description: 'Weather', parameters } },
        { googleSearch: {} },
      ],
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
          ],
        },
        {
          role: 'assistant',
          content: 'Wait.',
          tool_calls: [
            {
              id: 'fc1__thought__c2ln',
              type: 'function',
              function: { name: 'get_weather', arguments: '{"city":"Paris"}' },
            },
          ],
        },
        { role: 'tool', tool_call_id: 'fc1__thought__c2ln', content: 'Sunny' },
      ],
    },
    gemini: {
      model: 'gemini-3-pro-preview',
      config: {
        thinkingConfig: { includeThoughts: true, thinkingLevel: ThinkingLevel.HIGH },
        tools: [
          { functionDeclarations: [{ name: 'get_weather', description: 'Weather', parametersJsonSchema: parameters }] },
          { googleSearch: {} },
        ],
        toolConfig: {
          functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ['get_weather'] },
        },
      },
      contents: [
        {
          role: 'user',
          parts: [
            { text: 'What is this?' },
            { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } },
            { fileData: { fileUri: 'https://example.com/a.png', mimeType: 'image/png' } },
          ],
        },
        {
          role: 'model',
          parts: [
            { text: 'Wait.' },
            { functionCall: { id: 'fc1', name: 'get_weather', args: { city: 'Paris' } }, thoughtSignature: 'c2ln' },
          ],
        },
        {
          role: 'user',
          parts: [{ functionResponse: { id: 'fc1', name: 'get_weather', response: { output: 'Sunny' } } }],
        },
      ],
    },
  },
];

describe('the request is the one of the official SDK', () => {
  it.each(equivalents)('$name', async ({ openai, gemini }) => {
    const { models, requests } = await sdkAt({ body: whole.body });
    await models.generateContent(gemini);
    const call = adapter.toUpstream(exampleRequest({ model: 'chat', ...openai }), deploymentOf(gemini.model));
    expect(requests[0]).toMatchObject({ method: 'POST', path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(withoutRole(requests[0]?.body));
  });

  it.each(equivalents)('$name, streamed', async ({ openai, gemini }) => {
    const { models, requests } = await sdkAt(streamAnswer(streamText.events));
    for await (const _chunk of await models.generateContentStream(gemini));
    const call = adapter.toUpstream(
      exampleRequest({ model: 'chat', stream: true, ...openai }),
      deploymentOf(gemini.model),
    );
    expect(requests[0]).toMatchObject({ method: 'POST', path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(withoutRole(requests[0]?.body));
  });
});

/** The SDK makes the system instruction a message of the user; the API ignores the role. */
const withoutRole = (body: JsonObject | undefined): JsonObject => {
  const { systemInstruction, ...rest } = JSON.parse(JSON.stringify(body));
  return systemInstruction === undefined ? rest : { ...rest, systemInstruction: { parts: systemInstruction.parts } };
};

describe('the official SDK accepts the fixtures', () => {
  const question = { model: 'gemini-2.5-flash', contents: 'Hello!' };

  it.each([whole, wholeTools, wholeTwo, blocked])('$source', async ({ body }) => {
    const { models } = await sdkAt({ body });
    expect(await models.generateContent(question)).toMatchObject(body);
  });

  it.each([streamText, streamTools, streamTwo])('a stream', async ({ events }) => {
    const { models } = await sdkAt(streamAnswer(events));
    const seen: unknown[] = [];
    for await (const chunk of await models.generateContentStream(question)) seen.push(chunk);
    expect(seen).toMatchObject(events);
  });

  it.each(errors.errors)('the error $status $body.error.status', async ({ status, body }) => {
    const { models } = await sdkAt({ status, body });
    const failed = models.generateContent(question);
    await expect(failed).rejects.toMatchObject({ name: 'ApiError', status });
    await expect(failed).rejects.toThrow(body.error.message);
  });
});
