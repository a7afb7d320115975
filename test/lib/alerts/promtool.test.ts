import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { alerts } from '../../../lib/alerts/alerts.ts';
import { ruleGroups } from '../../../lib/alerts/rules.ts';
import { runCommand } from '../../../runbooks/lab/run-command.ts';
import { findPromtool } from '../../support/promtool.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import type { AlertCase } from './alert-case.ts';
import { capacityCases } from './capacity-cases.ts';
import { dataCases } from './data-cases.ts';
import { servingCases } from './serving-cases.ts';

const alertCases = [...servingCases, ...capacityCases, ...dataCases];
const directory = await temporaryDirectory();
const promtool = await findPromtool();

describe.skipIf(promtool === undefined)(
  'the alerts before Prometheus itself (skipped where promtool cannot be had, never in CI)',
  () => {
    const ask = async (verb: string, files: Readonly<Record<string, unknown>>): Promise<string> => {
      for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), stringify(content));
      const [first = ''] = Object.keys(files);
      const line = { command: promtool ?? '', args: [verb, 'rules', join(directory, first)] };
      return runCommand(line, { timeoutSeconds: 30 });
    };

    it('are rules that it accepts', async () => {
      expect(await ask('check', { 'rules.yaml': { groups: ruleGroups() } })).toContain(
        `SUCCESS: ${alerts.length} rules found`,
      );
    });

    // Prometheus evaluates every rule at every interval up to the end of a case: a case of a day takes longer steps.
    it.each([
      { interval: '1m', cases: alertCases.filter(({ atMinutes }) => atMinutes < 100) },
      { interval: '10m', cases: alertCases.filter(({ atMinutes }) => atMinutes >= 100) },
    ])('fire when they must and are silent when they must be ($interval)', async ({ interval, cases }) => {
      const tests = {
        'tests.yaml': { rule_files: ['rules.yaml'], evaluation_interval: interval, tests: cases.map(unitTest) },
        'rules.yaml': { groups: ruleGroups() },
      };
      expect(await ask('test', tests)).toContain('SUCCESS');
    });
  },
);

it('every alert has a case in which it fires', () => {
  const firing = new Set(alertCases.filter(({ fires }) => fires.length > 0).map(({ alert }) => alert));
  expect(alerts.map(({ name }) => name).filter((name) => !firing.has(name))).toEqual([]);
});

function unitTest(example: AlertCase): unknown {
  const alert = alerts.find(({ name }) => name === example.alert);
  if (alert === undefined) throw new Error(`no alert ${example.alert}`);
  const { firstResponse: description, runbook, severity } = alert;
  return {
    name: `${example.alert}: ${example.because}`,
    interval: '1m',
    input_series: Object.entries(example.series).map(([series, values]) => ({ series, values })),
    alert_rule_test: [
      {
        eval_time: `${example.atMinutes}m`,
        alertname: example.alert,
        exp_alerts: example.fires.map(({ labels, summary }) => ({
          exp_labels: { ...labels, severity },
          exp_annotations: { summary, description, ...(runbook === undefined ? {} : { runbook }) },
        })),
      },
    ],
  };
}
