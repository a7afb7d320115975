/** Work that must not be left half done because a part of it failed. */

/** Newest first, each after the other, whatever fails on the way. @throws what failed. */
export async function endAll(ends: readonly (() => Promise<unknown>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const end of ends.toReversed()) {
    try {
      await end();
    } catch (error) {
      failures.push(error);
    }
  }
  throwAll(failures);
}

/** At once; resolves when none runs any more. @throws what failed. */
export async function allEnded(work: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(work);
  throwAll(results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : [])));
}

function throwAll(failures: readonly unknown[]): void {
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('; '));
}
