import { expect, it, onTestFinished, vi } from 'vitest';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { wireGateway } from '../../support/wired-gateway.ts';

const config = `
model_list:
  - model_name: chat
    litellm_params: {model: openai/m, api_key: sk-upstream, mock_response: "Hello!"}
  - model_name: broken
    litellm_params: {model: openai/m, api_key: sk-upstream, mock_response: "litellm.RateLimitError"}
litellm_settings: {num_retries: 0}
`;

it.each([
  ['an answer', 'chat', 200],
  ['a failure', 'broken', 429],
])('nothing of %s reaches the client before its row is written down', async (_what, model, status) => {
  const gateway = await wireGateway({ databaseUrl: undefined, config, dataDirectory: await temporaryDirectory() });
  onTestFinished(() => gateway.close());
  const written = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const whenWritten = vi.spyOn(gateway.ground.spend, 'whenWritten').mockImplementation(() => {
    asked.resolve();
    return written.promise;
  });
  onTestFinished(() => whenWritten.mockRestore());
  let isAnswered = false;
  const answer = gateway.call('/v1/chat/completions', { model, messages: [{ role: 'user', content: 'Hi' }] });
  void answer.then(() => {
    isAnswered = true;
  });
  await asked.promise;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(isAnswered).toBe(false);
  written.resolve();
  expect((await answer).status).toBe(status);
});
