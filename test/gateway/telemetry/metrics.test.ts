import { expect, it } from 'vitest';
import { metricNames } from '../../../gateway/contract.ts';
import { Metrics } from '../../../gateway/telemetry/metrics.ts';
import { exampleDeployment, spendEvent, upstreamError } from '../examples.ts';

it('requests and attempts are counted once each, however often somebody looks', async () => {
  const metrics = new Metrics({
    inFlight: () => 0,
    outbox: () => undefined,
    databaseUp: () => undefined,
    redisUp: () => undefined,
    unpricedDeployments: () => 0,
    deploymentStates: () => [],
  });
  metrics.know(new Set(['chat']));
  const valuesOf = async (name: string) => {
    const lines = (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`));
    return lines.map((line) => line.slice(name.length)).toSorted();
  };

  for (const status of [200, 200, 500]) metrics.settled(spendEvent('x', { status }));
  metrics.settled(spendEvent('x', { requestedModel: 'a name that a client made up' }));
  metrics.attempted(exampleDeployment('one'), 'success');
  metrics.attempted(exampleDeployment('one'), upstreamError('timeout'));
  const requests = [
    '{requested_model="chat",status_code="200"} 2',
    '{requested_model="chat",status_code="500"} 1',
    '{requested_model="other",status_code="200"} 1',
  ];
  const attempts = ['{model_id="one",outcome="Timeout"} 1', '{model_id="one",outcome="success"} 1'];
  expect(await valuesOf(metricNames.requests)).toEqual(requests);
  expect(await valuesOf(metricNames.requests)).toEqual(requests);
  expect(await valuesOf(metricNames.upstreamAttempts)).toEqual(attempts);

  metrics.settled(spendEvent('x', {}));
  metrics.attempted(exampleDeployment('one'), 'success');
  expect(await valuesOf(metricNames.requests)).toContain('{requested_model="chat",status_code="200"} 3');
  expect(await valuesOf(metricNames.upstreamAttempts)).toContain('{model_id="one",outcome="success"} 2');
});
