import { describe, expect, test } from 'vitest';
import {
  clientKeepAliveSeconds,
  drain,
  gatewayPort,
  healthPaths,
  longestStreamSeconds,
} from '../../gateway/contract.ts';
import shipped from '../../holdfast.config.ts';
import { databaseIdentifier, stackName } from '../../lib/platform/names.ts';
import { resourcesOf, synthesize } from './synthesize.ts';

const { stacks } = synthesize(shipped);
const { tier } = shipped;

describe.each(shipped.regions.map((region) => ({ name: region.region, region })))('region $name', ({ region }) => {
  const own = stacks.filter(({ name }) =>
    name.startsWith(stackName(shipped, region.region, 'data').replace(/data$/, '')),
  );
  const only = (type: string) => {
    const found = resourcesOf(own, type);
    expect(found, type).toHaveLength(1);
    return found[0]?.Properties ?? {};
  };

  /** The one that ends TLS and filters; the other passes bytes on to it. */
  const applicationOnly = (type: string, isIt: (properties: Record<string, unknown>) => boolean) => {
    const found = resourcesOf(own, type).filter(({ Properties }) => isIt(Properties));
    expect(found, type).toHaveLength(1);
    return found[0]?.Properties ?? {};
  };
  const balancerOf = () =>
    applicationOnly('AWS::ElasticLoadBalancingV2::LoadBalancer', ({ Type }) => Type === 'application');
  const targetsOf = () =>
    applicationOnly('AWS::ElasticLoadBalancingV2::TargetGroup', ({ TargetType }) => TargetType === 'ip');

  test('every zone has a NAT gateway of its own, and its private subnet leaves by it', () => {
    const subnets = new Map(
      resourcesOf(own, 'AWS::EC2::Subnet').map(({ id, Properties }) => [id, Properties['AvailabilityZone']]),
    );
    const zoneOfNat = new Map(
      resourcesOf(own, 'AWS::EC2::NatGateway').map(({ id, Properties }) => [
        id,
        subnets.get(refOf(Properties['SubnetId'])),
      ]),
    );
    expect(new Set(zoneOfNat.values())).toEqual(new Set(region.availabilityZones));
    expect(zoneOfNat.size).toBe(region.availabilityZones.length);
    const tables = new Map(
      resourcesOf(own, 'AWS::EC2::SubnetRouteTableAssociation').map(({ Properties }) => [
        refOf(Properties['RouteTableId']),
        subnets.get(refOf(Properties['SubnetId'])),
      ]),
    );
    const byNat = resourcesOf(own, 'AWS::EC2::Route').filter(({ Properties }) => 'NatGatewayId' in Properties);
    expect(byNat).toHaveLength(region.availabilityZones.length);
    for (const { Properties } of byNat) {
      expect(zoneOfNat.get(refOf(Properties['NatGatewayId']))).toBe(tables.get(refOf(Properties['RouteTableId'])));
    }
  });

  test('no database is public, unencrypted, undeletable by accident or without its stack', () => {
    for (const { Properties, DeletionPolicy, UpdateReplacePolicy, id } of resourcesOf(own, 'AWS::RDS::DBInstance')) {
      expect(Properties, id).toMatchObject({
        PubliclyAccessible: false,
        DeletionProtection: true,
        CopyTagsToSnapshot: true,
      });
      expect([DeletionPolicy, UpdateReplacePolicy], id).toEqual(['Retain', 'Retain']);
      expect(
        'StorageEncrypted' in Properties || 'KmsKeyId' in Properties || 'SourceDBInstanceIdentifier' in Properties,
        id,
      ).toBe(true);
    }
  });

  test('the region’s database is Multi-AZ as its tier asks, backed up, and its logs leave it', () => {
    const database = resourcesOf(own, 'AWS::RDS::DBInstance').find(
      ({ Properties }) => Properties['DBInstanceIdentifier'] === databaseIdentifier(shipped, region),
    );
    expect(database?.Properties).toMatchObject({
      MultiAZ: region.role === 'primary' || tier.database.replicaMultiAz,
      BackupRetentionPeriod: tier.database.backupRetentionDays,
      EnableCloudwatchLogsExports: ['postgresql', 'upgrade'],
      KmsKeyId: expect.anything(),
    });
  });

  test('the cache fails over by itself and talks TLS only', () => {
    expect(only('AWS::ElastiCache::ReplicationGroup')).toMatchObject({
      Engine: 'valkey',
      AutomaticFailoverEnabled: true,
      MultiAZEnabled: true,
      ReplicasPerNodeGroup: tier.cache.replicas,
      TransitEncryptionEnabled: true,
      AtRestEncryptionEnabled: true,
      AuthToken: expect.anything(),
    });
  });

  test('the cluster is private, encrypts its secrets, logs, and lets a zone be taken out', () => {
    expect(only('AWS::EKS::Cluster')).toMatchObject({
      DeletionProtection: true,
      ZonalShiftConfig: { Enabled: true },
      ResourcesVpcConfig: { EndpointPublicAccess: false },
      ComputeConfig: { Enabled: true },
      EncryptionConfig: [{ Resources: ['secrets'] }],
    });
  });

  test('the load balancer asks pods what the gateway promises, with the tier’s numbers', () => {
    expect(targetsOf()).toMatchObject({
      TargetType: 'ip',
      Port: gatewayPort,
      HealthCheckPath: healthPaths.readiness,
      HealthCheckPort: String(gatewayPort),
      HealthCheckIntervalSeconds: tier.loadBalancer.healthCheckIntervalSeconds,
      HealthCheckTimeoutSeconds: tier.loadBalancer.healthCheckTimeoutSeconds,
      HealthyThresholdCount: tier.loadBalancer.healthyThreshold,
      UnhealthyThresholdCount: tier.loadBalancer.unhealthyThreshold,
    });
  });

  test('the load balancer cuts no stream, lets clients leave, and waits for a leaving gateway', () => {
    const balancer = attributesOf(balancerOf()['LoadBalancerAttributes']);
    expect(Number(balancer['idle_timeout.timeout_seconds'])).toBeGreaterThan(longestStreamSeconds);
    expect(balancer['client_keep_alive.seconds']).toBe(String(clientKeepAliveSeconds));
    expect(balancer['deletion_protection.enabled']).toBe('true');
    expect(balancer['access_logs.s3.enabled']).toBe('true');
    expect(balancer['zonal_shift.config.enabled']).toBe('true');
    const targets = attributesOf(targetsOf()['TargetGroupAttributes']);
    // Sooner, and it would cut streams that the gateway still serves.
    expect(Number(targets['deregistration_delay.timeout_seconds'])).toBeGreaterThanOrEqual(
      drain.pauseSeconds + drain.noticeSeconds + drain.deadlineSeconds,
    );
  });

  test('clients speak HTTPS only, and a firewall stands before the load balancer', () => {
    const listeners = resourcesOf(own, 'AWS::ElasticLoadBalancingV2::Listener').map(
      ({ Properties: { Port, Protocol } }) => `${String(Protocol)} ${String(Port)}`,
    );
    // The second passes TLS on as it is, to the first.
    expect(listeners.toSorted()).toEqual(['HTTPS 443', 'TCP 443']);
    expect(only('AWS::WAFv2::WebACLAssociation')).toBeDefined();
  });

  test('has an address in each zone that never changes, in front of the same firewall', () => {
    const entrance = applicationOnly('AWS::ElasticLoadBalancingV2::LoadBalancer', ({ Type }) => Type === 'network');
    expect(entrance['Subnets']).toBeUndefined();
    expect(entrance['SubnetMappings']).toHaveLength(region.availabilityZones.length);
    expect(JSON.stringify(entrance['SubnetMappings'])).toContain('AllocationId');
    const passedOn = applicationOnly(
      'AWS::ElasticLoadBalancingV2::TargetGroup',
      ({ TargetType }) => TargetType === 'alb',
    );
    // AWS refuses zonal shift across zones where the target is a load balancer.
    expect(attributesOf(entrance['LoadBalancerAttributes'])).toMatchObject({
      'zonal_shift.config.enabled': 'true',
      'load_balancing.cross_zone.enabled': 'false',
    });
    // Its own patience is 350 s, and it would drop a stream that the load balancer behind it still waits for.
    const { ListenerAttributes } = applicationOnly(
      'AWS::ElasticLoadBalancingV2::Listener',
      (one) => one['Protocol'] === 'TCP',
    );
    const balancer = attributesOf(balancerOf()['LoadBalancerAttributes']);
    expect(Number(attributesOf(ListenerAttributes)['tcp.idle_timeout.seconds'])).toBeGreaterThan(
      Number(balancer['idle_timeout.timeout_seconds']),
    );
    expect(passedOn).toMatchObject({ Port: 443, HealthCheckProtocol: 'HTTPS', HealthCheckPath: healthPaths.health });
  });

  test('is reached privately by the other regions, once they know the way', () => {
    const service = only('AWS::EC2::VPCEndpointService');
    expect(service).toMatchObject({
      SupportedRegions: shipped.regions.map((each) => each.region),
      AcceptanceRequired: false,
    });
    const ways = resourcesOf(own, 'AWS::EC2::VPCEndpoint').filter(({ Properties }) => 'ServiceRegion' in Properties);
    expect(ways.map(({ Properties }) => Properties['ServiceRegion'])).toEqual(
      shipped.regions.map((each) => each.region).filter((name) => name !== region.region),
    );
    for (const way of ways) expect(way['Condition'], way.id).toEqual(expect.any(String));
    const names = resourcesOf(own, 'AWS::Route53::RecordSet').map(({ Properties }) => String(Properties['Name']));
    for (const each of shipped.regions) expect(names).toContain(`${each.region}.internal.gateway.example.com.`);
  });

  test('the firewall blocks no prompt for what it talks about, and no client for not naming itself', () => {
    const rules = JSON.stringify(only('AWS::WAFv2::WebACL')['Rules']);
    for (const rule of ['NoUserAgent_HEADER', 'SizeRestrictions_BODY', 'CrossSiteScripting_BODY', 'Log4JRCE_BODY']) {
      expect(rules).toContain(`{"ActionToUse":{"Count":{}},"Name":"${rule}"}`);
    }
  });

  test('every key rotates and outlives its stack', () => {
    for (const { Properties, DeletionPolicy, id } of resourcesOf(own, 'AWS::KMS::Key')) {
      expect(Properties['EnableKeyRotation'], id).toBe(true);
      expect(DeletionPolicy, id).toBe('Retain');
    }
  });
});

test('the password of the database is in no template and reaches every standby region', () => {
  const secrets = resourcesOf(stacks, 'AWS::SecretsManager::Secret').filter(({ stack }) =>
    stack.name.endsWith('-data'),
  );
  expect(secrets).toHaveLength(1);
  expect(secrets[0]?.Properties).toMatchObject({
    Name: 'holdfast-production/database',
    GenerateSecretString: expect.anything(),
    ReplicaRegions: shipped.standbys.map(({ region }) => ({ Region: region })),
  });
  const [origin] = resourcesOf(stacks, 'AWS::RDS::DBInstance').filter(
    ({ Properties }) => 'MasterUserPassword' in Properties,
  );
  expect(JSON.stringify(origin?.Properties['MasterUserPassword'])).toContain('{{resolve:secretsmanager:');
});

function refOf(value: unknown): string {
  return typeof value === 'object' && value !== null && 'Ref' in value ? String(value.Ref) : JSON.stringify(value);
}

function attributesOf(value: unknown): Record<string, string> {
  const attributes: unknown[] = Array.isArray(value) ? value : [];
  return Object.fromEntries(
    attributes.map((attribute) =>
      typeof attribute === 'object' && attribute !== null && 'Key' in attribute && 'Value' in attribute
        ? [String(attribute.Key), String(attribute.Value)]
        : ['', ''],
    ),
  );
}
