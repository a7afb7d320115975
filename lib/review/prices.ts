/**
 * What things cost a month: list prices on demand, without taxes, discounts or free tiers. They change without notice and
 * differ between regions, so every number that comes out of here is an estimate and says so.
 */

/** One price, and the line of AWS's price pages that it is from, so that it can be looked up again. */
export interface Price {
  readonly usd: number;
  readonly per: 'hour' | 'month' | 'run' | 'GiB a month' | 'GiB';
  /** Page and line: `VPC: NAT gateway`. */
  readonly field: string;
}

const hour = (usd: number, field: string): Price => ({ usd, per: 'hour', field });
const month = (usd: number, field: string): Price => ({ usd, per: 'month', field });

/** Of `us-east-1`. Check the parts that matter to you: https://calculator.aws */
export const prices = {
  natGateway: hour(0.045, 'VPC: NAT gateway'),
  interfaceEndpoint: hour(0.01, 'PrivateLink: interface endpoint in a zone'),
  publicAddress: hour(0.005, 'VPC: public IPv4 address in use'),
  loadBalancer: hour(0.0225, 'Elastic Load Balancing: application or network load balancer'),
  cluster: hour(0.1, 'EKS: cluster in standard support (extended support costs 0.60)'),
  firewall: month(5, 'WAF: web ACL'),
  firewallRule: month(1, 'WAF: rule'),
  key: month(1, 'KMS: customer managed key'),
  secret: month(0.4, 'Secrets Manager: secret, and each of its copies'),
  alarmMetric: month(0.1, 'CloudWatch: standard resolution alarm, by metric'),
  dashboard: month(3, 'CloudWatch: dashboard'),
  canaryRun: { usd: 0.0012, per: 'run', field: 'CloudWatch: canary run' },
  healthCheck: month(0.5, 'Route 53: health check of an endpoint in AWS'),
  healthCheckOption: month(1, 'Route 53: HTTPS, fast interval, latency; each'),
  hostedZone: month(0.5, 'Route 53: hosted zone'),
  regionSwitchPlan: month(70, 'Application Recovery Controller: Region switch plan'),
  databaseStorage: { usd: 0.115, per: 'GiB a month', field: 'RDS for PostgreSQL: gp3 storage, one zone' },
  node: hour(0.192 * 1.12, 'EC2: m6i.xlarge, Linux; EKS: about 12 % for Auto Mode'),
} as const satisfies Readonly<Record<string, Price>>;

/** Hours of one zone; Multi-AZ has two. RDS for PostgreSQL: instance, single-AZ. */
export const databaseHours: Readonly<Record<string, number>> = {
  'db.r6g.large': 0.225,
  'db.r6g.xlarge': 0.45,
  'db.r6g.2xlarge': 0.899,
  'db.r6g.4xlarge': 1.798,
};

/** ElastiCache: node, Valkey. */
export const cacheHours: Readonly<Record<string, number>> = {
  'cache.r7g.large': 0.1752,
  'cache.r7g.xlarge': 0.3496,
  'cache.r7g.2xlarge': 0.6993,
};

/** What is paid by use; a region's share of it is not known here. */
export const trafficPrices = {
  'through a NAT gateway': { usd: 0.045, per: 'GiB', field: 'VPC: NAT gateway, data processed' },
  'between zones, both ways': { usd: 0.02, per: 'GiB', field: 'EC2: data transfer within a region, 0.01 each way' },
  'to another region': { usd: 0.02, per: 'GiB', field: 'EC2: data transfer to another AWS region' },
  'to the internet': { usd: 0.09, per: 'GiB', field: 'EC2: data transfer out, first 10 TB' },
} as const satisfies Readonly<Record<string, Price>>;

/**
 * When these were list prices. They were written from memory and not looked up; guides of 2026 name the same for EKS, its
 * Auto Mode and the instance.
 */
export const asOf = '2025-01';

export const hoursPerMonth = 730;

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
