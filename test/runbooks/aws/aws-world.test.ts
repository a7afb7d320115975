import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import platform from '../../../holdfast.config.ts';
import { awsBooks } from '../../../runbooks/aws/aws-world.ts';
import { clientToken } from '../../../runbooks/aws/clients.ts';
import { capacityOf, clusterCapacity } from '../../../runbooks/aws/cluster-capacity.ts';
import { kubectlProgram } from '../../../runbooks/aws/kubectl.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { signal } = new AbortController();

describe('capacity', () => {
  const workload = (name: string, readyReplicas: number) => ({
    metadata: { name, labels: {}, annotations: {}, generation: 1 },
    status: { observedGeneration: 1, readyReplicas, updatedReplicas: 0, replicas: 0 },
  });

  it('counts ready pods of each workload; what one has too many does not make up for another', () => {
    const needed = { gateway: 3, agentgateway: 2 };
    expect(capacityOf([workload('gateway', 9), workload('agentgateway', 1)], needed)).toEqual({ ready: 4, needed: 5 });
    expect(capacityOf([workload('gateway', 3)], needed)).toEqual({ ready: 3, needed: 5 });
  });

  it.each([
    ['hpa', 'patch horizontalpodautoscaler gateway --type=merge --patch={"spec":{"minReplicas":3}}'],
    ['keda', 'patch scaledobject gateway --type=merge --patch={"spec":{"minReplicaCount":3}}'],
  ] as const)(
    "is read and raised through kubectl, in the region's context, by what the autoscaler (%s) keeps at least",
    async (autoscaler, patch) => {
      const directory = await temporaryDirectory();
      const [command, calls] = [join(directory, 'kubectl'), join(directory, 'calls')];
      const items = [
        {
          kind: 'Deployment',
          metadata: { name: 'gateway' },
          spec: { selector: {}, template: { spec: { containers: [] } } },
          status: { readyReplicas: 1 },
        },
      ];
      await writeFile(command, `#!/bin/sh\necho "$@" >> ${calls}\nprintf '%s' '${JSON.stringify({ items })}'\n`);
      await chmod(command, 0o755);
      const kubectl = kubectlProgram({ command, contextOf: (region) => `at-${region}` });
      const capacity = clusterCapacity(kubectl, { autoscaler, needed: () => ({ gateway: 3, agentgateway: 2 }) });
      expect(await capacity.read('us-west-2', signal)).toEqual({ ready: 1, needed: 5 });
      await capacity.raise('us-west-2', 3, signal);
      const start = '--context at-us-west-2 --namespace holdfast --request-timeout=10s';
      expect((await readFile(calls, 'utf8')).trim().split('\n')).toEqual([
        `${start} get deployments,statefulsets --output=json`,
        `${start} ${patch}`,
        // It has no autoscaler.
        `${start} scale deployment/agentgateway --replicas=2`,
      ]);
    },
  );

  it('what kubectl says when it fails is what the operator reads', async () => {
    const directory = await temporaryDirectory();
    const command = join(directory, 'kubectl');
    await writeFile(command, '#!/bin/sh\necho "error: context does not exist" >&2\nexit 1\n');
    await chmod(command, 0o755);
    const kubectl = kubectlProgram({ command, contextOf: (region) => region });
    await expect(kubectl('us-west-2', ['get', 'nodes'], signal)).rejects.toThrow(
      'kubectl get in us-west-2 failed: error: context does not exist',
    );
  });
});

/** Statements about actions for which AWS knows no resources. */
const withoutResources = new Set(['ReadTheLag', 'SeeAlarmsAndExperiments', 'SeeTheVersions', 'SeeZonesAndShifts']);

describe('the policy of a book', () => {
  const buckets = {
    claims: [{ bucket: 'claims', region: 'us-west-2' }],
    takeovers: [{ bucket: 'takeovers', region: 'us-west-2' }],
    journals: ['journals'],
  };

  it.each(awsBooks)(
    '%s: names every resource, deletes no journal, and touches the primary with looks alone until it is back',
    (id) => {
      const statements = policyOf(id, platform, buckets)?.Statement ?? [];
      expect(statements.length).toBeGreaterThan(4);
      for (const { Sid, Action, Resource } of statements) {
        expect(Resource.includes('*'), Sid).toBe(withoutResources.has(Sid));
        // Nothing that is in use is deleted: only a replica that a failback has made, and what was restored.
        if (Action.includes('rds:DeleteDBInstance')) {
          for (const one of Resource) expect(one).toMatch(/:db:(restored-\*|holdfast-production-us-east-1-db-2)$/);
        }
        expect(
          Action.filter((action) => action.includes('*')),
          Sid,
        ).toEqual([]);
        const changes = Action.some((action) => !/:(Get|Describe|List)/.test(action));
        const touchesPrimary = Resource.some((one) => one.includes(`:${platform.primary.region}:`));
        // Keys are used, not changed.
        const isMove = id.startsWith('region-') && id !== 'region-failback' && Sid !== 'UseTheBucketsKeys';
        if (isMove) expect(changes && touchesPrimary, Sid).toBe(false);
      }
      // No emergency may need the control plane of Route 53, and a failback leaves it to the role of the dns stack.
      const others = statements.filter(({ Sid }) => Sid !== 'HandTheStacksTheirRole');
      expect(JSON.stringify(others)).not.toMatch(/"(iam|route53):/);
      for (const { Action, Resource } of statements) {
        if (Action.includes('s3:DeleteObject'))
          expect(Resource.filter((one) => one.includes(':::journals'))).toEqual([]);
      }
    },
  );
});

it("tokens of a step are CloudFormation's: letters, digits, hyphens, at most 64", () => {
  expect(clientToken('r-20261121-160000-ab12/promote')).toBe('t-r-20261121-160000-ab12-promote');
  expect(clientToken('x'.repeat(200))).toHaveLength(64);
});
