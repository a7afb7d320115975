import { describe, expect, test } from 'vitest';
import { definePlatform } from '../../lib/platform/platform.ts';
import type { PlatformSpec } from '../../lib/platform/spec.ts';
import { reviewAsJson, reviewAsMarkdown } from '../../lib/review/document.ts';
import type { Finding } from '../../lib/review/findings.ts';
import { type Background, type Review, review } from '../../lib/review/review.ts';
import { reviewAsText } from '../../lib/review/text.ts';
import { reviewWidth } from '../../lib/review/wrap.ts';
import { spec, specOf } from './specs.ts';
import { synthesize } from './synthesize.ts';

const exceptions = [{ rule: 'AwsSolutions-X1', reason: 'Because of the tests.', where: ['stack/thing'] }];
const manifests = [
  {
    region: 'us-east-1',
    file: 'dist/k8s/us-east-1/20-gateway.yaml',
    resources: 2,
    kinds: { Service: 1, Deployment: 1 },
  },
];

function reviewOf(
  description: PlatformSpec,
  findings: readonly Finding[] = [],
  background: Partial<Background> = {},
): Review {
  const platform = definePlatform(description);
  const assembly = { stacks: synthesize(platform).stacks, findings, exceptions };
  return review(platform, assembly, manifests, {
    today: '2026-11-21',
    evidence: [],
    changes: undefined,
    ...background,
  });
}

const textOf = (subject: Review): string => reviewAsText(subject, (title) => title);

describe('the review of an active-passive platform', () => {
  const text = textOf(reviewOf(spec()));

  test('fits into its width', () => {
    expect(text.split('\n').filter((line) => line.length > reviewWidth)).toEqual([]);
  });

  test.each([
    ['the objectives', 'back within 1 h (RTO)'],
    ['which database follows which', /us-west-2 +standby .* acme-production-us-west-2-db-1 +us-east-1\n/],
    ['the number of NAT gateways', /us-east-1 +3 +yes/],
    ['where clients go', 'https://gateway.acme.example'],
    ['who answers', 'us-east-1 while it is healthy, else the nearest healthy of us-west-2, eu-west-1'],
    ['the manifests', 'In all: 1 Deployment, 1 Service'],
    [
      'how a region is promoted',
      'aws cloudformation update-stack --region us-west-2 --stack-name acme-production-us-west-2-data',
    ],
    [
      'the book that promotes with all that belongs to it',
      /runbook run region-failover target=us-west-2 former=us-east-1/,
    ],
    [
      'objects by file and region',
      /dist\/k8s\/REGION\/ +us-east-1 +us-west-2 +eu-west-1\n[─ ]+\n20-gateway\.yaml +2 +- +-/,
    ],
    ['that the canary wants a key', /put a key of theirs[^]*secret acme-production\/canary/],
    ['the exceptions', '1 exception'],
    ['an estimate of the cost, as one', /about \d+ \$ a month \(an estimate\)/],
    ['downtime a month', /high \(yours\) +99\.95 % +21\.9 min/],
    ['the checklist', /High availability checklist: \d+ of 13/],
    ['how traffic is moved', '--bucket acme-production-us-west-2-takeover-222222222222'],
    ['how it is given back', 'ParameterKey=FailbackPercent,ParameterValue=10'],
    [
      'the order of deployment',
      /deploy 'acme-production-\*-storage'.*\n.*us-east-1-\*'\n.*us-west-2-\*'\n.*eu-west-1-\*'\n.*=on.*\n.*deploy acme-production-dns/,
    ],
  ])('tells %s', (_, expected) => {
    expect(text).toMatch(expected);
  });

  test('is the same for programs', () => {
    const parsed: unknown = JSON.parse(reviewAsJson(reviewOf(spec())));
    expect(parsed).toMatchObject({ deployable: true, platform: { name: 'acme' }, stacks: { length: 28 } });
  });
});

test('a single region has nothing to promote', () => {
  expect(textOf(reviewOf(specOf('standard', 'single-region')))).not.toContain('Promote');
});

test('an error makes a platform undeployable and is shown with its place', () => {
  const finding: Finding = {
    severity: 'error',
    checker: 'Checker',
    rule: 'R1',
    description: 'is wrong',
    where: ['stack/database'],
  };
  const subject = reviewOf(spec(), [finding]);
  expect(subject.deployable).toBe(false);
  expect(textOf(subject)).toMatch(/ERROR R1: is wrong \(Checker\)\n {2}at stack\/database[^]*Not deployable/);
});

test('a warning is shown and hinders nothing', () => {
  const subject = reviewOf(spec(), [
    { severity: 'warning', checker: 'Checker', rule: 'R2', description: 'is odd', where: [] },
  ]);
  expect(subject.deployable).toBe(true);
  expect(textOf(subject)).toContain('WARNING R2: is odd');
});

test('every place of a stack is bootstrapped, with whom it trusts, and the role of CI is deployed before CI needs it', () => {
  const text = textOf(
    reviewOf(
      spec({
        dnsRegion: 'us-east-2',
        deployedFrom: ['333333333333'],
        delivery: { subjects: ['repo:acme/gateway:environment:production'] },
      }),
    ),
  );
  for (const region of ['us-east-1', 'us-west-2', 'eu-west-1', 'us-east-2']) {
    expect(text).toMatch(new RegExp(`cdk bootstrap aws://222222222222/${region} --trust 333333333333 `));
  }
  expect(text).toContain('npx cdk deploy acme-production-delivery ');
});

test('a zone that does not exist yet is announced, with what to do', () => {
  expect(textOf(reviewOf(spec({ hostedZone: { name: 'acme.example' } })))).toContain(
    'The zone acme.example does not exist yet',
  );
});

test('each exception is written down with its reason and its places', () => {
  expect(reviewAsMarkdown(reviewOf(spec()))).toContain(
    '## AwsSolutions-X1\n\nBecause of the tests.\n\n- `stack/thing`',
  );
});
