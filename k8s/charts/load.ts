import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { gatewayPort } from '../../gateway/contract.ts';
import { kubernetes } from '../../lib/platform/names.ts';
import { resources, scratch } from '../blocks/container.ts';
import { imageOf } from '../blocks/images.ts';
import { jobSpec } from '../blocks/job.ts';
import { reach, resolveNames } from '../blocks/traffic.ts';
import { metadataOf, networkPolicy } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/** Fails when the promise is broken: 99.9 % answered, 95 % of them within five seconds. */
const script = `import http from 'k6/http';
import { check } from 'k6';

export const options = {
  vus: 1000,
  duration: '5m',
  thresholds: { http_req_failed: ['rate<0.001'], http_req_duration: ['p(95)<5000'] },
};

const body = JSON.stringify({
  model: __ENV.MODEL,
  max_tokens: 16,
  messages: [{ role: 'user', content: 'Say one word.' }],
});

export default function () {
  const response = http.post('http://${kubernetes.gateway}/v1/chat/completions', body, {
    headers: { 'Content-Type': 'application/json', Authorization: 'Bearer ' + __ENV.GATEWAY_KEY },
    timeout: '60s',
  });
  check(response, { answered: (answer) => answer.status === 200 });
}
`;

/**
 * A thousand callers for five minutes. It asks real models for real money: use a key with a budget, and a model group that
 * can take it. In `drills/`, so that nobody starts it by applying everything.
 */
export function loadChart({ platform }: ChartInput): Chart {
  const component = { platform, component: 'load-test', image: imageOf(platform, 'k6') } as const;
  const metadata = metadataOf(component);
  const job = {
    ...component,
    deadlineSeconds: 900,
    // A second try would be another load.
    retries: 0,
    steps: [
      {
        name: 'k6',
        image: imageOf(platform, 'k6'),
        args: ['run', '--no-usage-report', '/script/load.js'],
        env: [
          { name: 'MODEL', value: 'gpt-4o-mini' },
          { name: 'HOME', value: '/tmp' },
          {
            name: 'GATEWAY_KEY',
            valueFrom: { secretKeyRef: { name: kubernetes.loadTestSecret, key: 'GATEWAY_KEY' } },
          },
        ],
        resources: resources({ cpu: '2', memory: '4Gi', 'ephemeral-storage': '256Mi' }),
        volumeMounts: [
          { name: 'script', mountPath: '/script', readOnly: true },
          { name: 'temporary', mountPath: '/tmp' },
        ],
      },
    ],
    volumes: [{ name: 'script', configMap: { name: metadata.name } }, scratch('temporary', '128Mi')],
  } satisfies Parameters<typeof jobSpec>[0];
  return newChart('load', [
    { manifest: k8s.KubeConfigMap.manifest({ metadata, data: { 'load.js': script } }) },
    networkPolicy({ ...component, ingress: [], egress: [...resolveNames(), reach(platform, 'gateway', gatewayPort)] }),
    { manifest: k8s.KubeJob.manifest({ metadata, spec: jobSpec(job) }) },
  ]);
}
