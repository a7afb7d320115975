/** Versions of the managed engines. Raise them here; synth checks that AWS knows them. */
export const versions = {
  /** RDS for PostgreSQL. The lab and the tests run the same major version. */
  postgres: { major: '18', full: '18.6' },
  /** ElastiCache for Valkey. */
  valkey: { major: '8', full: '8.2' },
  /** EKS. Standard support of 1.36 ends 2027-08-02. */
  kubernetes: '1.36',
} as const;
