/** What rounds of measurements say together. */

export interface Samples {
  /** One of each round. */
  readonly samples: readonly number[];
}

/** The median, and the quartiles in brackets. */
export function shown(samples: readonly number[], digits: number): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const [lower, middle, upper] = [0.25, 0.5, 0.75].map((share) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
  return `${middle?.toFixed(digits).padStart(6)} (${lower?.toFixed(digits)} to ${upper?.toFixed(digits)})`;
}

/** Round by round: what makes one dearer makes the other dearer, too. */
export const differences = (one: Samples, other: Samples): number[] => pairs(one, other, (a, b) => a - b);
export const ratios = (one: Samples, other: Samples): number[] => pairs(one, other, (a, b) => a / b);

const pairs = (one: Samples, other: Samples, compare: (a: number, b: number) => number): number[] =>
  one.samples.map((sample, round) => compare(sample, other.samples[round] ?? Number.NaN));
