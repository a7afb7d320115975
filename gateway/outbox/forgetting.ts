/** When shipped spend may leave this disk. Pure. */

export interface ShippedSpend {
  /** The ledger has had it for as long as the configuration says. */
  readonly isOld: boolean;
  /** The disk has no room for new spend. */
  readonly isShort: boolean;
  /** It is in the archive; undefined = there is none. */
  readonly isArchived: boolean | undefined;
  /** No failover can lose it: see `mayForget`. */
  readonly isSafe: boolean;
}

/**
 * What a failover could lose stays in any case. What only a restore from a backup could lose waits for the archive, but not
 * when new spend needs its room: an archive that is away must not stop the gateway.
 */
export const mayLeave = ({ isOld, isShort, isArchived, isSafe }: ShippedSpend): boolean =>
  isSafe && (isShort || (isOld && isArchived !== false));
