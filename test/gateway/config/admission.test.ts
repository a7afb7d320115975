import { describe, expect, it } from 'vitest';
import { faultsOf, load, withOne } from './load-example.ts';

const admissionWith = (rest: string) => load(withOne(rest)).config.admission;

describe('budgets and limits in the config', () => {
  it('have safe defaults', () => {
    expect(admissionWith('')).toEqual({
      budgetExceededStatus: 429,
      budgetUnavailable: 'refuse',
      strictAcrossRegions: true,
      unpricedModels: 'allow',
      capOutputToBudget: false,
      defaultOutputTokens: 4_096,
      shareMinimumOne: false,
      expectedReplicas: 1,
      globalBudget: undefined,
    });
  });

  it('are read, also from variables, which are text', () => {
    const text = `general_settings:
  budget_exceeded_status: os.environ/STATUS
  budget_unavailable: share
  strict_budgets_across_regions: false
  unpriced_models: refuse
  cap_output_to_budget: true
  default_output_tokens: 500
  share_minimum: 1
  expected_replicas: 6
litellm_settings: {max_budget: 12.5, budget_duration: 30d}`;
    expect(load(withOne(text), { environment: { STATUS: '400' } }).config.admission).toEqual({
      budgetExceededStatus: 400,
      budgetUnavailable: 'share',
      strictAcrossRegions: false,
      unpricedModels: 'refuse',
      capOutputToBudget: true,
      defaultOutputTokens: 500,
      shareMinimumOne: true,
      expectedReplicas: 6,
      globalBudget: { maxMicros: 12_500_000, duration: '30d' },
    });
  });

  it.each([
    ['general_settings: {budget_exceeded_status: 418}', 'general_settings.budget_exceeded_status'],
    ['general_settings: {budget_unavailable: maybe}', 'general_settings.budget_unavailable'],
    ['general_settings: {share_minimum: 2}', 'general_settings.share_minimum'],
    ['litellm_settings: {max_budget: 1, budget_duration: monthly}', 'litellm_settings.budget_duration'],
    ['litellm_settings: {max_budget: -1}', 'litellm_settings.max_budget'],
  ])('%s is one fault at its place', (text, path) => {
    expect(faultsOf(withOne(text)).map((fault) => fault.path)).toEqual([path]);
  });

  it('name what may be written instead', () => {
    const messages = faultsOf(
      withOne(
        'general_settings: {budget_exceeded_status: 418, budget_unavailable: maybe}\nlitellm_settings: {budget_duration: monthly}',
      ),
    ).map(({ message }) => message);
    expect(messages.join('\n')).toMatch(/400, 422, 429/);
    expect(messages.join('\n')).toMatch(/refuse, share, allow/);
    expect(messages.join('\n')).toMatch(/24h, 7d, 30d or 1mo/);
  });
});
