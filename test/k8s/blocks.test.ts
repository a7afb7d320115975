import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../gateway/config/load.ts';
import { disruptionBudget } from '../../k8s/blocks/disruption.ts';
import { imageVersion } from '../../k8s/blocks/labels.ts';
import { autoscaler } from '../../k8s/blocks/scaling.ts';

describe('the version label', () => {
  it.each([
    ['ghcr.io/holdfast/gateway:0.1.0', '0.1.0'],
    [`ghcr.io/holdfast/gateway@sha256:${'0123456789ab'.repeat(5)}cdef`, '0123456789ab'],
    [`localhost:5000/gateway:1.2@sha256:${'a'.repeat(64)}`, '1.2'],
    ['localhost:5000/gateway', 'latest'],
    [`gateway:${'v'.repeat(62)}--x`, 'v'.repeat(62)],
  ])('of %s is %s', (image, version) => {
    expect(imageVersion(image)).toBe(version);
  });
});

describe('the disruption budget', () => {
  it.each([
    { minAvailable: 2, replicas: 3, left: 2 },
    { minAvailable: 2, replicas: 2, left: 1 },
    { minAvailable: 4, replicas: 6, left: 4 },
  ])('of $replicas replicas where $minAvailable must stay is $left', ({ minAvailable, replicas, left }) => {
    expect(disruptionBudget({ selector: {}, minAvailable, replicas }).minAvailable?.value).toBe(left);
  });
});

describe('the autoscaler', () => {
  it('never gets a most below its least', () => {
    expect(autoscaler({ kind: 'Deployment', target: 'x', minReplicas: 30, maxReplicas: 20 }).maxReplicas).toBe(30);
  });

  it('grows faster than it shrinks', () => {
    expect(autoscaler({ kind: 'Deployment', target: 'x', minReplicas: 3, maxReplicas: 20 }).behavior).toEqual({
      scaleUp: { stabilizationWindowSeconds: 60, policies: [{ type: 'Pods', value: 2, periodSeconds: 60 }] },
      scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] },
    });
  });
});

describe('the config that is delivered with the manifests', () => {
  const text = readFileSync(new URL('../../k8s/gateway-config.yaml', import.meta.url), 'utf8');
  const keys = { OPENAI_API_KEY: 'a', SECOND_API_KEY: 'b', SECOND_API_BASE: 'https://second.example/v1' };

  it('is accepted by the gateway without a warning when all keys are there', () => {
    expect(loadConfig(text, { source: 'config.yaml', environment: keys }).warnings).toEqual([]);
  });

  it('is accepted with one key alone', () => {
    const { OPENAI_API_KEY } = keys;
    expect(() => loadConfig(text, { source: 'config.yaml', environment: { OPENAI_API_KEY } })).not.toThrow();
  });
});
