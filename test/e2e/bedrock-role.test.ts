/** Bedrock in an assumed role, through a real gateway: embeddings that take several calls, and chat. */
import OpenAI from 'openai';
import { expect, it } from 'vitest';
import { startUpstream } from '../../runbooks/lab/upstream.ts';
import { type StsState, stsServer } from '../gateway/cluster/sts-server.ts';
import { masterKey, migratedDatabase, startTestGateway } from '../support/gateway.ts';
import { until } from '../support/processes.ts';
import { query } from '../support/query.ts';

it('texts are embedded in a session of the role, which is asked for once; a failed role is an error of the deployment', async () => {
  const state: StsState = { ms: Date.now(), secrets: new Map([['AKIAOWN', 'own-secret']]), reply: 'session' };
  const sts = await stsServer(state);
  const database = await migratedDatabase();
  const bedrock = await startUpstream({
    name: 'Bedrock',
    intercept: ({ body }, response) => {
      const number = Number(/\d+/.exec(String(body['inputText']))?.[0]);
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ embedding: [number, 0.5], inputTextTokenCount: 3 }));
      return true;
    },
  });
  const entry = (name: string, role: string, endpoint: string): string => `
  - model_name: ${name}
    litellm_params:
      model: bedrock/amazon.titan-embed-text-v2:0
      aws_region_name: eu-central-1
      aws_bedrock_runtime_endpoint: "${endpoint}"
      aws_access_key_id: AKIAOWN
      aws_secret_access_key: own-secret
      aws_role_name: arn:aws:iam::123456789012:role/${role}
      aws_sts_endpoint: "${sts.origin}"`;
  const { origin } = new URL(bedrock.url);
  const gateway = await startTestGateway({
    config: `model_list:${entry('titan', 'embedder', origin)}${entry('forbidden', 'forbidden', origin)}\nrouter_settings: {num_retries: 0}\n`,
    databaseUrl: database.url,
  });
  try {
    const client = new OpenAI({ apiKey: masterKey, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
    const input = Array.from({ length: 20 }, (_, index) => `text ${index}`);
    const [first, second] = await Promise.all([
      client.embeddings.create({ model: 'titan', input }),
      client.embeddings.create({ model: 'titan', input: 'text 7' }),
    ]);
    expect(first.data.map(({ embedding }) => embedding)).toEqual(input.map((_text, index) => [index, 0.5]));
    expect(first.usage).toEqual({ prompt_tokens: 60, total_tokens: 60 });
    expect(second.data[0]?.embedding).toEqual([7, 0.5]);
    expect(sts.questions).toMatchObject([
      { signedBy: 'AKIAOWN', form: { RoleArn: expect.stringMatching(/embedder$/) } },
    ]);
    expect(bedrock.requests).toHaveLength(21);
    for (const { headers, path } of bedrock.requests) {
      expect(path).toBe('/model/amazon.titan-embed-text-v2%3A0/invoke');
      expect(headers.authorization).toContain('Credential=ASIA1/');
      expect(headers['x-amz-security-token']).toBe('token/1+x==');
    }

    state.reply = {
      status: 403,
      body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/secret-name</Message></Error></ErrorResponse>',
    };
    const refused = client.embeddings.create({ model: 'forbidden', input: 'text 1' });
    await expect(refused).rejects.toMatchObject({
      status: 401,
      message: expect.stringContaining('role forbidden could not be assumed: AccessDenied'),
    });
    await expect(refused).rejects.not.toThrow(/secret-name/);
    const rows = () =>
      query(
        database.url,
        'SELECT requested_model, prompt_tokens FROM spend_entry ORDER BY requested_model, prompt_tokens',
      );
    await until(async () => (await rows()).length === 3);
    expect(await rows()).toMatchObject([
      { requested_model: 'forbidden', prompt_tokens: null },
      { requested_model: 'titan', prompt_tokens: 3 },
      { requested_model: 'titan', prompt_tokens: 60 },
    ]);
    // The words of AWS are in the log, for those who have to mend it.
    await until(async () => (await gateway.output()).includes('secret-name'));
  } finally {
    await gateway.stop();
    await bedrock.close();
    await database.drop();
  }
});
