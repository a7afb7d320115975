/** What providers say about trying again, through each adapter. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ProviderAdapter, UpstreamHeaders } from '../../../gateway/providers/adapter.ts';
import { chooseAdapters } from '../../../gateway/providers/adapters.ts';
import { exampleDeployment } from '../examples.ts';

const adapterFor = chooseAdapters({ dropParams: false });
const providers = ['openai', 'azure', 'anthropic', 'bedrock', 'gemini', 'hosted_vllm'];

const classified = (adapter: ProviderAdapter, headers: UpstreamHeaders, provider = 'openai', body = '{}') =>
  adapter.classify(
    { status: 429, contentType: 'application/json', headers, body: Buffer.from(body) },
    exampleDeployment('d', { provider }),
  );

beforeEach(() => {
  vi.useFakeTimers({ now: Date.UTC(2030, 0, 1), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe.each(providers)('%s', (provider) => {
  it.each<[UpstreamHeaders, number | undefined]>([
    [{}, undefined],
    [{ 'retry-after': '30' }, 30],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': '1.5' }, 1.5],
    [{ 'retry-after': ' ' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '2031' }, 2031],
    [{ 'retry-after': ['3', '60'] }, 3],
    // The three forms of a date that HTTP knows, https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7
    [{ 'retry-after': 'Tue, 01 Jan 2030 00:00:20 GMT' }, 20],
    [{ 'retry-after': 'Tuesday, 01-Jan-30 00:00:20 GMT' }, 20],
    [{ 'retry-after': 'Tue Jan  1 00:00:20 2030' }, 20],
    [{ 'retry-after': 'Mon, 31 Dec 2029 23:00:00 GMT' }, 0],
    [{ 'retry-after-ms': '250' }, 0.25],
    [{ 'retry-after-ms': '250', 'retry-after': '1' }, 0.25],
    [{ 'retry-after-ms': '0', 'retry-after': '60' }, 0],
    [{ 'retry-after-ms': 'soon', 'retry-after': '7' }, 7],
    [{ 'retry-after-ms': '-1', 'retry-after': '7' }, 7],
  ])('%j is a wait of %s seconds', (headers, seconds) => {
    expect(classified(adapterFor(provider), headers, provider).retryAfterSeconds).toBe(seconds);
  });

  it.each<[UpstreamHeaders, boolean | undefined]>([
    [{ 'x-should-retry': 'true' }, true],
    [{ 'x-should-retry': 'false' }, false],
    [{ 'x-should-retry': 'perhaps' }, undefined],
    [{}, undefined],
  ])('%j advises %s', (headers, advised) => {
    expect(classified(adapterFor(provider), headers, provider).retryAdvised).toBe(advised);
  });
});

describe('a wait that is said in the body', () => {
  const azureWords = JSON.stringify({ error: { code: '429', message: 'Please retry after 20 seconds.' } });
  const geminiDetail = JSON.stringify({
    error: {
      code: 429,
      message: 'Quota exceeded',
      status: 'RESOURCE_EXHAUSTED',
      details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.07s' }],
    },
  });

  it.each([
    ['azure', azureWords, 20],
    ['gemini', geminiDetail, 34.07],
  ])('%s: counts when no header says otherwise', (provider, body, seconds) => {
    const adapter = adapterFor(provider);
    expect(classified(adapter, {}, provider, body)).toMatchObject({ retryAfterSeconds: seconds, kind: 'rate-limit' });
    expect(classified(adapter, { 'retry-after-ms': '1500' }, provider, body).retryAfterSeconds).toBe(1.5);
  });
});
