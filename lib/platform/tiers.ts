/** The tiers: objectives and every size that follows from them, in one table. */
import type { TierName } from './spec.ts';

export interface Tier {
  readonly name: TierName;
  /** Promised availability in percent, for example 99.95. */
  readonly availabilityPercent: number;
  /** Objective for data loss (RPO), seconds. */
  readonly rpoSeconds: number;
  /** Objective for recovery (RTO), seconds. */
  readonly rtoSeconds: number;
  /** Availability zones a region needs. */
  readonly zones: number;
  /** Regions a platform of this tier needs. */
  readonly regionsAtLeast: number;
  readonly gateway: {
    /** Replicas of a region that serves, in peace. */
    readonly replicas: number;
    /** Replicas of an active-passive standby, in peace. `critical` stands sized for the full load. */
    readonly standbyReplicas: number;
    /** Upper bound of the autoscaler. */
    readonly maxReplicas: number;
    /** Replicas that voluntary disruption must leave running. */
    readonly minAvailable: number;
    /** The outbox stands on a volume that outlives the node, not only the container. */
    readonly persistentOutbox: boolean;
  };
  readonly database: {
    readonly instanceClass: string;
    readonly allocatedStorageGiB: number;
    /** Storage grows by itself up to this size. */
    readonly maxAllocatedStorageGiB: number;
    readonly backupRetentionDays: number;
    /** A standby's replica is itself Multi-AZ. */
    readonly replicaMultiAz: boolean;
    /** Read replicas inside the primary's region. */
    readonly inRegionReadReplicas: number;
  };
  readonly cache: {
    readonly nodeType: string;
    /** Replicas beside the cache's primary node. */
    readonly replicas: number;
  };
  readonly loadBalancer: {
    /** Target health check; standard keeps the numbers of the specification. */
    readonly healthCheckIntervalSeconds: number;
    readonly healthCheckTimeoutSeconds: number;
    readonly healthyThreshold: number;
    readonly unhealthyThreshold: number;
  };
  /** How often each region's credentials of database and cache get a successor. */
  readonly credentialRotationDays: number;
  /** ARC zonal autoshift moves traffic out of an impaired zone without an operator. */
  readonly zonalAutoshift: boolean;
  /** AWS's name for the disaster recovery strategy that this tier buys. */
  readonly strategy: 'backup-and-restore' | 'warm standby' | 'multi-site active-active';
}

/** How long AWS Backup keeps what it made or copied. Recovery to a moment is another matter: `backupRetentionDays`. */
export const copiesKeptDays = {
  /** Nobody can delete a younger one. */
  atLeast: 7,
  daily: 35,
  monthly: 365,
} as const;

const minute = 60;
const hour = 60 * minute;

export const tiers: Readonly<Record<TierName, Tier>> = {
  standard: {
    name: 'standard',
    availabilityPercent: 99.9,
    rpoSeconds: 1 * hour,
    rtoSeconds: 4 * hour,
    zones: 2,
    regionsAtLeast: 1,
    gateway: { replicas: 3, standbyReplicas: 2, maxReplicas: 10, minAvailable: 2, persistentOutbox: false },
    database: {
      instanceClass: 'db.r6g.large',
      allocatedStorageGiB: 100,
      maxAllocatedStorageGiB: 500,
      backupRetentionDays: 7,
      replicaMultiAz: false,
      inRegionReadReplicas: 0,
    },
    cache: { nodeType: 'cache.r7g.large', replicas: 1 },
    loadBalancer: {
      healthCheckIntervalSeconds: 30,
      healthCheckTimeoutSeconds: 10,
      healthyThreshold: 2,
      unhealthyThreshold: 3,
    },
    credentialRotationDays: 90,
    zonalAutoshift: false,
    strategy: 'backup-and-restore',
  },
  high: {
    name: 'high',
    availabilityPercent: 99.95,
    rpoSeconds: 15 * minute,
    rtoSeconds: 1 * hour,
    zones: 3,
    regionsAtLeast: 2,
    gateway: { replicas: 3, standbyReplicas: 2, maxReplicas: 20, minAvailable: 2, persistentOutbox: false },
    database: {
      instanceClass: 'db.r6g.large',
      allocatedStorageGiB: 200,
      maxAllocatedStorageGiB: 1000,
      backupRetentionDays: 14,
      replicaMultiAz: false,
      inRegionReadReplicas: 1,
    },
    cache: { nodeType: 'cache.r7g.large', replicas: 2 },
    loadBalancer: {
      healthCheckIntervalSeconds: 10,
      healthCheckTimeoutSeconds: 5,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
    },
    credentialRotationDays: 90,
    zonalAutoshift: false,
    strategy: 'warm standby',
  },
  critical: {
    name: 'critical',
    availabilityPercent: 99.99,
    rpoSeconds: 5 * minute,
    rtoSeconds: 15 * minute,
    zones: 3,
    regionsAtLeast: 2,
    gateway: { replicas: 6, standbyReplicas: 6, maxReplicas: 50, minAvailable: 4, persistentOutbox: true },
    database: {
      instanceClass: 'db.r6g.2xlarge',
      allocatedStorageGiB: 500,
      maxAllocatedStorageGiB: 2000,
      backupRetentionDays: 35,
      replicaMultiAz: true,
      inRegionReadReplicas: 2,
    },
    cache: { nodeType: 'cache.r7g.xlarge', replicas: 2 },
    loadBalancer: {
      healthCheckIntervalSeconds: 5,
      healthCheckTimeoutSeconds: 3,
      healthyThreshold: 2,
      unhealthyThreshold: 2,
    },
    credentialRotationDays: 30,
    zonalAutoshift: true,
    strategy: 'multi-site active-active',
  },
};
