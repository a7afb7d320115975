/** What manifests and runbooks look up by name, in the templates that make it: nobody else would notice a name that nobody bears. */
import { describe, expect, it } from 'vitest';
import shipped from '../../holdfast.config.ts';
import { entranceName, kubernetes, loadBalancerName, stackName } from '../../lib/platform/names.ts';
import { definePlatform } from '../../lib/platform/platform.ts';
import { specOf } from '../lib/specs.ts';
import { resourcesOf, stackNamed, synthesize } from '../lib/synthesize.ts';
import { at, find, objectsOf } from './manifests.ts';

const platforms = { 'one region': definePlatform(specOf('standard', 'single-region')), 'several regions': shipped };

describe.each(Object.entries(platforms))('with %s', (_, platform) => {
  const { stacks } = synthesize(platform);

  it.each(platform.regions.map(({ region }) => region))(
    '%s: pods are put into a target group that there is',
    (region) => {
      const ingress = stackNamed(stacks, stackName(platform, region, 'ingress'));
      const groups = resourcesOf([ingress], 'AWS::ElasticLoadBalancingV2::TargetGroup');
      const bound = at(find(objectsOf(platform, region), 'TargetGroupBinding'), 'spec.targetGroupName');
      const named = groups.filter(({ Properties }) => Properties['Name'] === bound);
      // The one that the load balancer sends clients to; the other leads from the fixed addresses to the load balancer.
      expect(named.map(({ Properties }) => Properties['TargetType'])).toEqual(['ip']);
    },
  );

  it('load balancers have the names by which a zone is left', () => {
    for (const { region } of platform.regions) {
      const ingress = stackNamed(stacks, stackName(platform, region, 'ingress'));
      const made = resourcesOf([ingress], 'AWS::ElasticLoadBalancingV2::LoadBalancer');
      expect(new Set(made.map(({ Properties }) => Properties['Name']))).toEqual(
        new Set([loadBalancerName(platform, region), entranceName(platform, region)]),
      );
    }
  });

  it('every service account that gets rights is one that the manifests make', () => {
    for (const { region } of platform.regions) {
      const objects = objectsOf(platform, region);
      const cluster = stackNamed(stacks, stackName(platform, region, 'cluster'));
      for (const { Properties } of resourcesOf([cluster], 'AWS::EKS::PodIdentityAssociation')) {
        expect(Properties['Namespace']).toBe(kubernetes.namespace);
        const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount').map((one) => at(one, 'metadata.name'));
        expect(accounts).toContain(Properties['ServiceAccount']);
      }
    }
  });
});
