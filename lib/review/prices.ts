/**
 * What things cost a month: list prices on demand, without taxes, discounts or free tiers. They change without notice and
 * differ between regions, so every number that comes out of here is an estimate and says so.
 */
export const prices = {
  /** Of `us-east-1`. Check the parts that matter to you: https://calculator.aws */
  asOf: '2025-01',
  hoursPerMonth: 730,
  natGatewayHour: 0.045,
  interfaceEndpointHour: 0.01,
  publicAddressHour: 0.005,
  loadBalancerHour: 0.0225,
  clusterHour: 0.1,
  firewall: 5,
  firewallRule: 1,
  key: 1,
  secret: 0.4,
  alarmMetric: 0.1,
  dashboard: 3,
  canaryRun: 0.0012,
  healthCheck: 0.5,
  /** HTTPS, a fast interval, latency: each. */
  healthCheckOption: 1,
  hostedZone: 0.5,
  regionSwitchPlan: 70,
  /** Hour of one zone; Multi-AZ has two. */
  databaseHour: { 'db.r6g.large': 0.225, 'db.r6g.xlarge': 0.45, 'db.r6g.2xlarge': 0.899, 'db.r6g.4xlarge': 1.798 },
  databaseGibMonth: 0.115,
  cacheHour: { 'cache.r7g.large': 0.1752, 'cache.r7g.xlarge': 0.3496, 'cache.r7g.2xlarge': 0.6993 },
  /** m6i.xlarge, with the fee of Auto Mode. */
  nodeHour: 0.192 * 1.12,
} as const;

/** What a region costs against us-east-1, roughly; 1.15 where nothing is known. */
export const regionFactor = (region: string): number => {
  const known: Readonly<Record<string, number>> = {
    'us-east-1': 1,
    'us-east-2': 1,
    'us-west-2': 1,
    'eu-west-1': 1.1,
    'eu-central-1': 1.17,
    'ap-southeast-2': 1.2,
    'ap-northeast-1': 1.25,
  };
  return known[region] ?? 1.15;
};
