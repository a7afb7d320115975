/** The protocol, and nine ways to get it wrong: each must be caught, or the simulation proves nothing. */
export const brokenVariants = [
  /** Compare with what was read some time ago, and reserve nothing. */
  'check-then-act',
  /** Say how much was given back, and not how much in all. */
  'amounts-instead-of-totals',
  /** Take back what a silent process holds. */
  'release-after-silence',
  /** Lower the own limit when the answer has come, not before the message leaves. */
  'return-after-send',
  /** A new window forgets what is handed out. */
  'reset-zeroes-leased',
  /** Book whatever arrives. */
  'no-applied-position',
  /** Forget events when they are sent. */
  'remove-before-the-reply',
  /** Forget events when they are acknowledged; a promoted replica may not have them. */
  'delete-on-commit',
  /** Write nothing down before the upstream is called. */
  'no-begin',
] as const;

export type Variant = 'protocol' | (typeof brokenVariants)[number];
