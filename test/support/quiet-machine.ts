/** `HOLDFAST_QUIET_MACHINE=1`: nothing else runs here, so that a guarantee's own milliseconds can be asserted. */
export const isQuiet = (process.env['HOLDFAST_QUIET_MACHINE'] ?? '') !== '';

/** The milliseconds that something may take; three times as many where other things run as well. */
export const within = (milliseconds: number): number => (isQuiet ? milliseconds : 3 * milliseconds);
