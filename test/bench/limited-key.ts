/** A key whose every request is admitted by budgets and limits that are never reached. */
import type { TestGateway } from '../support/gateway.ts';

const plenty = 1e9;
const limits = { max_budget: plenty, rpm_limit: plenty, tpm_limit: plenty, max_parallel_requests: plenty };

export async function limitedKey(gateway: TestGateway): Promise<string> {
  const team = await ask(gateway, '/team/new', limits);
  const key = await ask(gateway, '/key/generate', { ...limits, team_id: team['team_id'] });
  return String(key['key']);
}

async function ask(gateway: TestGateway, path: string, body: object): Promise<Record<string, unknown>> {
  const response = await gateway.post(path, body);
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
  const answer: Record<string, unknown> = JSON.parse(text);
  return answer;
}
