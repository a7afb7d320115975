/**
 * Budgets over a failover: what the writer had granted and no replica had replayed is spent twice, unless nobody may spend it
 * before a replica shows it. And changes that a failover would lose, where they are to be refused.
 */
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { regionRules } from '../../../gateway/region/rules.ts';
import { migrate } from '../../../gateway/stores/migrate.ts';
import { ask } from '../../../runbooks/lab/region-database.ts';
import { labMasterKey, makeTemplate, type RegionName, startTwoRegions } from '../../../runbooks/lab/two-regions.ts';
import { sendJson, startUpstream, type Upstream } from '../../../runbooks/lab/upstream.ts';
import { hello } from '../../support/gateway.ts';
import { until } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { tell } from '../site.ts';
import { Operator } from './operator.ts';

const ttlSeconds = 4;
/** Too few for anybody to hold more than the requests that run. */
const requestsInBudget = 12;
const lostGrants = 8;
let upstream: Upstream;
let directory: string;
let template: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  upstream = await startUpstream({
    name: 'the upstream',
    // Uses all that the request allows: a tenth of a cent each.
    intercept: ({ body }, response) => {
      sendJson(response, 200, {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1,
        model: body['model'],
        choices: [{ index: 0, message: { role: 'assistant', content: 'Hello!' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: 5, completion_tokens: 100, total_tokens: 105 },
      });
      return true;
    },
  });
  template = await makeTemplate(`${directory}/template`, async (url) => void (await migrate(url)));
}, 60_000);
afterAll(() => upstream.close());

async function twoRegions(isStrict: boolean) {
  const lab = await startTwoRegions({
    directory: `${directory}/${isStrict ? 'strict' : 'loose'}`,
    template,
    ttlSeconds,
    environment: isStrict ? { HOLDFAST_REFUSE_BEYOND_RPO_SECONDS: '10' } : {},
    config: `
model_list:
  - model_name: chat
    litellm_params:
      model: openai/upstream-model
      api_base: "${upstream.url}"
      api_key: sk-upstream
      input_cost_per_token: 0
      output_cost_per_token: 0.00001
general_settings: {strict_budgets_across_regions: ${isStrict}}
`,
  });
  onTestFinished(() => lab.stop(), 30_000);
  const call = async (name: RegionName, path: string, body?: object, key = labMasterKey) => {
    const [gateway] = lab.region(name).gateways;
    const response = await fetch(`${gateway?.url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const standing = async (name: RegionName) => (await call(name, '/health/region')).text;
  await until(
    async () =>
      (await standing('a')).includes('"standing":"writer"') && (await standing('b')).includes('"standing":"standby"'),
    30_000,
  );
  await until(async () => (await standing('a')).includes('"candidate_lag_ms":{"b":'), 15_000);
  const made = await call('a', '/key/generate', { max_budget: requestsInBudget / 1_000 });
  const key = /"key":"(sk-[^"]+)"/.exec(made.text)?.[1] ?? '';
  const chats = (name: RegionName, count: number) =>
    Promise.all(
      Array.from({ length: count }, () => call(name, '/v1/chat/completions', { ...hello, max_tokens: 100 }, key)),
    );
  const served = (answers: readonly { readonly status: number }[]): number =>
    answers.filter(({ status }) => status === 200).length;
  const failOver = () =>
    new Operator({ lab, rules: regionRules, record: () => undefined, waits: true, reports: false }).failover(
      'b',
      'run-1',
    );
  /** What the survivor has of the key in the end, in requests. */
  const booked = async (): Promise<number> => {
    const [row] = await ask(
      lab.region('b').operatorUrl,
      `SELECT count(*)::int AS n FROM spend_entry WHERE key_hash = encode(sha256('${key}'), 'hex')`,
    );
    return Number(row?.['n']);
  };
  const metric = async (name: RegionName, metricName: string): Promise<number> => {
    const { text } = await call(name, '/metrics');
    return Number(new RegExp(`^${metricName}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]);
  };
  return { lab, call, chats, served, failOver, booked, metric };
}

it.each([
  ['no budget is overrun: what only the lost database knew was never spent', true],
  ['a budget is overrun by the grants that the replica lacked, where nobody waits for it', false],
])(
  'after a failover, %s',
  async (_what, isStrict) => {
    const { lab, call, chats, served, failOver, booked, metric } = await twoRegions(isStrict);
    const before = served(await chats('a', 1)) + served(await chats('b', 1));
    expect(before).toBe(2);
    await lab.link('b.database>a.database').set({ freeze: 'both' });
    const answers = await chats('a', lostGrants);
    const lost = served(answers);
    expect(lost).toBe(isStrict ? 0 : lostGrants);
    let shown = 0;
    if (isStrict) {
      for (const { status, headers } of answers) expect([status, headers.get('retry-after')]).toEqual([503, '5']);
      // Nothing else suffers meanwhile; what a failover would lose is refused after the seconds that were set.
      await until(async () => (await call('a', '/key/generate', {})).text.includes('beyond_rpo'), 30_000);
      expect((await call('a', '/health/ready')).text).toContain('farther behind than may be lost');
      expect(await metric('a', 'holdfast_region_beyond_rpo')).toBe(1);
      expect(await metric('a', 'holdfast_region_candidate_lag_seconds')).toBeGreaterThan(10);
      await lab.heal();
      await until(async () => (await call('a', '/key/generate', {})).status === 200, 15_000);
      // By now the replica shows what was granted in the meantime, and that much may be spent.
      await until(async () => served(await chats('a', 1)) === 1, 15_000);
      shown = 1;
      await lab.link('b.database>a.database').set({ freeze: 'both' });
      shown += served(await chats('a', lostGrants));
    } else {
      expect(await metric('a', 'holdfast_budget_unconfirmed_dollars')).toBeGreaterThanOrEqual(lostGrants / 1_000);
    }
    await lab.partition();
    await failOver();
    await until(async () => (await call('b', '/key/generate', {})).status === 200, 20_000);
    // As clients do: until it is refused because the money is spent.
    let after = 0;
    for (let last: readonly number[] = []; !last.includes(429); ) {
      const tried = await chats('b', 5);
      last = tried.map(({ status }) => status);
      after += served(tried);
    }
    await lab.heal();
    const total = before + lost + shown + after;
    await until(async () => (await booked()) === total, 30_000);
    tell(`budget over a failover (${isStrict ? 'strict' : 'not strict'})`, {
      budget: requestsInBudget,
      spent: total,
      grantsLost: lost,
    });
    if (isStrict) expect(total).toBeLessThanOrEqual(requestsInBudget);
    else expect(total - requestsInBudget).toBeGreaterThan(0);
    expect(total - requestsInBudget).toBeLessThanOrEqual(lost);
  },
  120_000,
);
