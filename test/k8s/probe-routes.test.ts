import { afterAll, beforeAll, expect, it } from 'vitest';
import { startUpstream, type Upstream } from '../../runbooks/lab/upstream.ts';
import { configFor, startTestGateway, type TestGateway } from '../support/gateway.ts';
import { at, listAt, podTemplate } from './manifests.ts';
import { distinctObjects } from './platforms.ts';

let upstream: Upstream;
let gateway: TestGateway;

beforeAll(async () => {
  upstream = await startUpstream({ name: 'the upstream' });
  gateway = await startTestGateway({ config: configFor([upstream.url]) });
});

afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

it('whatever looks at a gateway (probes, load balancers, Prometheus) asks for a page that a running gateway has', async () => {
  const paths = new Set<unknown>();
  for (const object of distinctObjects()) {
    const ours = at(object, 'metadata.name') === 'gateway';
    if (ours && podTemplate(object) !== undefined) {
      for (const container of listAt(podTemplate(object), 'spec.containers')) {
        for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
          paths.add(at(container, `${probe}.httpGet.path`));
        }
      }
      paths.add(Object(at(podTemplate(object), 'metadata.annotations'))['prometheus.io/path']);
    }
    if (ours && object.kind === 'ServiceMonitor') paths.add(at(object, 'spec.endpoints.0.path'));
    if (object.kind === 'BackendConfig') paths.add(at(object, 'spec.healthCheck.requestPath'));
    if (object.kind === 'ComputeHealthCheck') paths.add(at(object, 'spec.httpHealthCheck.requestPath'));
  }
  expect([...paths].map(String).sort()).toEqual(['/health', '/health/liveliness', '/health/readiness', '/metrics']);
  for (const path of paths) expect((await gateway.request(String(path))).status, String(path)).toBe(200);
});
