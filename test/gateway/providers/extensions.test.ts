import { expect, it } from 'vitest';
import { openAIAdapter } from '../../../gateway/providers/openai.ts';
import { exampleDeployment, exampleRequest } from '../examples.ts';

const body = {
  model: 'chat',
  top_k: 5,
  thinking: { type: 'enabled', budget_tokens: 1_024 },
  messages: [
    { role: 'user', content: [{ type: 'text', text: 'hi', cache_control: { type: 'ephemeral' } }] },
    { role: 'assistant', content: 'x', thinking_blocks: [{ type: 'thinking' }], reasoning_content: 'because' },
  ],
  tools: [
    {
      type: 'function',
      cache_control: { type: 'ephemeral' },
      function: { name: 'f', parameters: { type: 'object', properties: { cache_control: { type: 'string' } } } },
    },
  ],
};
const plain = {
  model: 'upstream-model',
  messages: [
    { role: 'user', content: [{ type: 'text', text: 'hi' }] },
    { role: 'assistant', content: 'x' },
  ],
  tools: [{ type: 'function', function: { name: 'f', parameters: body.tools[0]?.function.parameters } }],
};

const sent = (provider: string, translated: boolean): unknown =>
  JSON.parse(
    openAIAdapter
      .toUpstream({ ...exampleRequest(body), translated }, exampleDeployment('d', { provider }))
      .body.toString(),
  );

it('a translated request reaches OpenAI without the members that only other APIs know; a schema keeps its properties', () => {
  expect(sent('openai', true)).toEqual(plain);
});

it('another server of the same format gets them all, and so does OpenAI what its own client sent', () => {
  expect(sent('hosted_vllm', true)).toEqual({ ...body, model: 'upstream-model' });
  expect(sent('openai', false)).toEqual({ ...body, model: 'upstream-model' });
});
