/** A process's part of a limit while nobody can be asked: all parts together are the limit. */

/**
 * @param rank place among the living from 0; undefined = unknown, then nobody takes the remainder.
 * @param atLeastOne a limit below the number of processes leaves some with nothing, unless more than the limit is fine.
 */
export function shareOf(
  limit: number,
  live: number,
  rank: number | undefined,
  account: string,
  atLeastOne: boolean,
): number {
  const whole = Math.floor(limit / live);
  const rest = limit % live;
  // Shifted by the account, so that it is not always the same process that has one more.
  const mine = rank !== undefined && (rank + hashOf(account)) % live < rest ? 1 : 0;
  return Math.max(whole + mine, atLeastOne && limit > 0 ? 1 : 0);
}

/** FNV-1a: the same in every process. */
function hashOf(text: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
  }
  return hash >>> 0;
}
