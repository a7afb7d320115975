import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import platform from '../../../holdfast.config.ts';
import { awsBooks } from '../../../runbooks/aws/aws-world.ts';
import { clientToken } from '../../../runbooks/aws/clients.ts';
import { capacityOf, kubectlCapacity } from '../../../runbooks/aws/kubectl-capacity.ts';
import { policyOf } from '../../../runbooks/aws/policy.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const { signal } = new AbortController();
const list = (ready: Readonly<Record<string, number>>): string =>
  JSON.stringify({
    items: Object.entries(ready).map(([name, readyReplicas]) => ({ metadata: { name }, status: { readyReplicas } })),
  });

describe('capacity', () => {
  it('counts ready pods of each workload; what one has too many does not make up for another', () => {
    const needed = { gateway: 3, agentgateway: 2 };
    expect(capacityOf(list({ gateway: 9, agentgateway: 1 }), needed)).toEqual({ ready: 4, needed: 5 });
    expect(capacityOf(list({ gateway: 3 }), needed)).toEqual({ ready: 3, needed: 5 });
  });

  it("is read and raised through kubectl, in the region's context, by the autoscaler's lower bound", async () => {
    const directory = await temporaryDirectory();
    const [command, calls] = [join(directory, 'kubectl'), join(directory, 'calls')];
    await writeFile(command, `#!/bin/sh\necho "$@" >> ${calls}\nprintf '%s' '${list({ gateway: 1 })}'\n`);
    await chmod(command, 0o755);
    const capacity = kubectlCapacity({
      command,
      contextOf: (region) => `at-${region}`,
      needed: () => ({ gateway: 3 }),
    });
    expect(await capacity.read('us-west-2', signal)).toEqual({ ready: 1, needed: 3 });
    await capacity.raise('us-west-2', 3, signal);
    const lines = (await readFile(calls, 'utf8')).trim().split('\n');
    expect(lines).toEqual([
      '--context at-us-west-2 --namespace holdfast --request-timeout=10s get deployments,statefulsets --output=json',
      '--context at-us-west-2 --namespace holdfast --request-timeout=10s patch horizontalpodautoscaler gateway --type=merge --patch={"spec":{"minReplicas":3}}',
    ]);
  });
});

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
        expect(Resource.includes('*'), Sid).toBe(Sid === 'ReadTheLag' || Sid === 'SeeTheVersions');
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
        if (id.startsWith('region-') && id !== 'region-failback') expect(changes && touchesPrimary, Sid).toBe(false);
      }
      // No emergency may need the control plane of Route 53, and a failback leaves it to the role of the dns stack.
      expect(JSON.stringify(statements)).not.toMatch(/"(iam|route53):/);
      for (const { Action, Resource } of statements) {
        if (Action.includes('s3:DeleteObject'))
          expect(Resource.filter((one) => one.includes(':::journals'))).toEqual([]);
      }
    },
  );

  it('is not made up for a book that this world cannot run', () => {
    expect(policyOf('release', platform, buckets)).toBeUndefined();
  });
});

it("tokens of a step are CloudFormation's: letters, digits, hyphens, at most 64", () => {
  expect(clientToken('r-20261121-160000-ab12/promote')).toBe('t-r-20261121-160000-ab12-promote');
  expect(clientToken('x'.repeat(200))).toHaveLength(64);
});
