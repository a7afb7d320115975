/** The official SDK as judge: it sends and signs what the adapter does, and it accepts the fixtures. */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { sign } from '../../../../gateway/providers/bedrock/sign.ts';
import errors from '../../../fixtures/providers/bedrock/errors.json' with { type: 'json' };
import streamText from '../../../fixtures/providers/bedrock/stream-text.json' with { type: 'json' };
import throttled from '../../../fixtures/providers/bedrock/stream-throttled.json' with { type: 'json' };
import streamTools from '../../../fixtures/providers/bedrock/stream-tools.json' with { type: 'json' };
import whole from '../../../fixtures/providers/bedrock/whole.json' with { type: 'json' };
import wholeTools from '../../../fixtures/providers/bedrock/whole-tools.json' with { type: 'json' };
import { exampleRequest } from '../../examples.ts';
import { overHttp1 } from '../translating/over-http1.ts';
import { type CannedAnswer, recordingServer } from '../translating/recording-server.ts';
import { eventBytes } from './event-bytes.ts';
import { adapter, claude, deploymentOf } from './example.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG', sessionToken: 'token' };
const region = 'eu-central-1';

async function sdkAt(answer: CannedAnswer) {
  const { origin, requests } = await recordingServer(answer);
  const client = new BedrockRuntimeClient({
    region,
    endpoint: origin,
    credentials,
    maxAttempts: 1,
    requestHandler: overHttp1,
  });
  return { client, requests, origin };
}

const streamAnswer = (body: Buffer): CannedAnswer => ({ contentType: 'application/vnd.amazon.eventstream', body });
const parameters = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };

/** An OpenAI request, and what a user of the SDK would write for the same. */
const equivalents: readonly { name: string; openai: JsonObject; bedrock: ConverseCommandInput }[] = [
  {
    name: 'a question',
    openai: {
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hello!' },
      ],
      max_tokens: 100,
      temperature: 0.5,
      top_p: 0.9,
      stop: 'END',
      top_k: 3,
      service_tier: 'flex',
    },
    bedrock: {
      modelId: claude,
      system: [{ text: 'Be brief.' }],
      messages: [{ role: 'user', content: [{ text: 'Hello!' }] }],
      inferenceConfig: { maxTokens: 100, temperature: 0.5, topP: 0.9, stopSequences: ['END'] },
      additionalModelRequestFields: { top_k: 3 },
      serviceTier: { type: 'flex' },
    },
  },
  {
    name: 'a turn of an agent with an inference profile',
    openai: {
      reasoning_effort: 'xhigh',
      tools: [
        { type: 'function', function: { name: 'get_weather', description: 'Weather', parameters, strict: true } },
      ],
      tool_choice: 'required',
      response_format: { type: 'json_schema', json_schema: { name: 'a', schema: parameters } },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'What is this?', cache_control: { type: 'ephemeral', ttl: '1h' } },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } },
            { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,JVBERi0=' } },
          ],
        },
        {
          role: 'assistant',
          content: 'Wait.',
          thinking_blocks: [
            { type: 'thinking', thinking: 'Hm', signature: 's' },
            { type: 'redacted_thinking', data: 'AAECAw==' },
          ],
          tool_calls: [
            { id: 'tooluse_1', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Paris"}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'tooluse_1', content: 'Sunny' },
      ],
    },
    bedrock: {
      modelId: 'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-8',
      outputConfig: {
        effort: 'xhigh',
        textFormat: {
          type: 'json_schema',
          structure: {
            jsonSchema: { name: 'a', schema: JSON.stringify({ ...parameters, additionalProperties: false }) },
          },
        },
      },
      additionalModelRequestFields: { thinking: { type: 'adaptive', display: 'summarized' } },
      toolConfig: {
        tools: [
          {
            toolSpec: { name: 'get_weather', description: 'Weather', inputSchema: { json: parameters }, strict: true },
          },
        ],
        toolChoice: { any: {} },
      },
      messages: [
        {
          role: 'user',
          content: [
            { text: 'What is this?' },
            { cachePoint: { type: 'default', ttl: '1h' } },
            { image: { format: 'png', source: { bytes: Buffer.from('iVBORw0KGgo=', 'base64') } } },
            { document: { format: 'pdf', name: 'a', source: { bytes: Buffer.from('%PDF-') } } },
          ],
        },
        {
          role: 'assistant',
          content: [
            { reasoningContent: { reasoningText: { text: 'Hm', signature: 's' } } },
            { reasoningContent: { redactedContent: Buffer.of(0, 1, 2, 3) } },
            { text: 'Wait.' },
            { toolUse: { toolUseId: 'tooluse_1', name: 'get_weather', input: { city: 'Paris' } } },
          ],
        },
        { role: 'user', content: [{ toolResult: { toolUseId: 'tooluse_1', content: [{ text: 'Sunny' }] } }] },
      ],
    },
  },
];

describe('the request is the one of the official SDK', () => {
  it.each(equivalents)('$name', async ({ openai, bedrock }) => {
    const { client, requests } = await sdkAt({ body: whole.body });
    await client.send(new ConverseCommand(bedrock));
    const call = adapter.toUpstream(exampleRequest({ model: 'chat', ...openai }), deploymentOf(bedrock.modelId ?? ''));
    expect(requests[0]).toMatchObject({ method: 'POST', path: call.path, headers: call.headers });
    expect(JSON.parse(call.body.toString())).toEqual(requests[0]?.body);
  });

  it.each(equivalents)('$name, streamed', async ({ openai, bedrock }) => {
    const { client, requests } = await sdkAt(streamAnswer(eventBytes(streamText.events)));
    await client.send(new ConverseStreamCommand(bedrock));
    const request = exampleRequest({ model: 'chat', stream: true, ...openai });
    const call = adapter.toUpstream(request, deploymentOf(bedrock.modelId ?? ''));
    expect(requests[0]).toMatchObject({ method: 'POST', path: call.path });
    expect(JSON.parse(call.body.toString())).toEqual(requests[0]?.body);
  });
});

describe('the signature', () => {
  it.each(equivalents)('is the one of the official SDK: $name', async ({ openai, bedrock }) => {
    const { client, requests, origin } = await sdkAt({ body: whole.body });
    await client.send(new ConverseCommand(bedrock));
    const { headers = {}, body, path = '' } = requests[0] ?? {};
    const authorization = headers['authorization'] ?? '';
    const signed = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(';') ?? [];
    const made = ['host', 'x-amz-date', 'x-amz-content-sha256', 'x-amz-security-token'];
    const stated = Object.fromEntries(
      signed.filter((name) => !made.includes(name)).map((name) => [name, String(headers[name])]),
    );
    const at = String(headers['x-amz-date']).replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
    const call = adapter.toUpstream(
      exampleRequest({ model: 'chat', ...openai }),
      deploymentOf(bedrock.modelId ?? '', { origin }),
    );
    expect(call.path).toBe(path);
    // The SDK's own order of members: the hash of the body is part of the signature.
    const same = { ...call, headers: stated, body: Buffer.from(JSON.stringify(body)) };
    const result = await sign(same, credentials, region, new Date(at));
    expect(result.headers).toMatchObject({
      authorization,
      'x-amz-date': headers['x-amz-date'],
      'x-amz-security-token': 'token',
    });
    expect(authorization).toContain(`/${region}/bedrock/aws4_request`);
  });

  it('depends on the time, the key and the body, and leaves the call as it was', async () => {
    const call = adapter.toUpstream(exampleRequest(), deploymentOf(claude));
    const before = structuredClone(call.headers);
    const now = new Date('2026-01-02T03:04:05Z');
    const signatures = await Promise.all([
      sign(call, credentials, region, now),
      sign(call, credentials, region, new Date('2026-01-02T03:04:06Z')),
      sign(call, { ...credentials, secretAccessKey: 'x' }, region, now),
      sign({ ...call, body: Buffer.from('{}') }, credentials, region, now),
      sign(call, credentials, 'us-east-1', now),
    ]);
    expect(new Set(signatures.map(({ headers }) => headers['authorization'])).size).toBe(5);
    expect(signatures[0]?.headers['x-amz-date']).toBe('20260102T030405Z');
    expect(call.headers).toEqual(before);
    const again = await sign(call, credentials, region, now);
    expect(again).toEqual(signatures[0]);
  });
});

describe('the official SDK accepts the fixtures', () => {
  const question: ConverseCommandInput = {
    modelId: claude,
    messages: [{ role: 'user', content: [{ text: 'Hello!' }] }],
  };

  it.each([whole, wholeTools])('whole: $body.stopReason', async ({ body }) => {
    const { client } = await sdkAt({ body });
    const { output, stopReason, usage } = await client.send(new ConverseCommand(question));
    expect({ stopReason, usage }).toMatchObject({ stopReason: body.stopReason, usage: body.usage });
    expect(output?.message?.content).toHaveLength(body.output.message.content.length);
  });

  it.each([streamText, streamTools])('a stream', async ({ events }) => {
    const { client } = await sdkAt(streamAnswer(eventBytes(events)));
    const { stream } = await client.send(new ConverseStreamCommand(question));
    const types: string[] = [];
    for await (const event of stream ?? []) types.push(...Object.keys(event));
    expect(types).toEqual(events.map(({ type }) => type));
  });

  it('an exception inside of a stream', async () => {
    const { client } = await sdkAt(streamAnswer(eventBytes(throttled.events)));
    const { stream } = await client.send(new ConverseStreamCommand(question));
    const read = async () => {
      for await (const _event of stream ?? []);
    };
    await expect(read()).rejects.toMatchObject({ name: 'ThrottlingException' });
  });

  it.each(errors.errors)('the error $status $type', async ({ status, type, body }) => {
    const { client } = await sdkAt({ status, body, headers: { 'x-amzn-errortype': type } });
    const failed = client.send(new ConverseCommand(question));
    await expect(failed).rejects.toMatchObject({
      name: type,
      message: body.message,
      $metadata: { httpStatusCode: status },
    });
  });
});
