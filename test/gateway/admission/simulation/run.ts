/**
 * Random histories from the command line: `node test/gateway/admission/simulation/run.ts [histories] [variant] [seed]`.
 * 100,000 histories of the protocol when nothing is said; exit code 1 when one fails.
 */
import { type Fault, HistoryFailed, newTally, runHistory } from './history.ts';
import { brokenVariants, type Variant } from './variants.ts';

export interface Result {
  readonly failing: number;
  readonly byFault: Readonly<Partial<Record<Fault, number>>>;
  readonly first: string | undefined;
  readonly tally: ReturnType<typeof newTally>;
}

export function runHistories(count: number, variant: Variant, firstSeed: number): Result {
  const tally = newTally();
  const byFault: Partial<Record<Fault, number>> = {};
  let failing = 0;
  let first: string | undefined;
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    try {
      runHistory(seed, variant, tally);
    } catch (error) {
      if (!(error instanceof HistoryFailed)) throw error;
      failing++;
      byFault[error.fault] = (byFault[error.fault] ?? 0) + 1;
      first ??= error.message;
    }
  }
  return { failing, byFault, first, tally };
}

if (import.meta.main) {
  const [count = '100000', name = 'protocol', seed = '1'] = process.argv.slice(2);
  const variant = (['protocol', ...brokenVariants] as const).find((known) => known === name);
  if (variant === undefined) throw new Error(`unknown variant ${name}; known: protocol, ${brokenVariants.join(', ')}`);
  const startedAt = performance.now();
  const { failing, byFault, first, tally } = runHistories(Number(count), variant, Number(seed));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(
    `${variant}: ${count} histories, ${failing} failing ${JSON.stringify(byFault)}, ${seconds} s, ${JSON.stringify(tally)}\n${first ?? ''}\n`,
  );
  if (variant === 'protocol' && failing > 0) process.exitCode = 1;
}
