/** simple-shuffle: weighted random by the first of weight, rpm, tpm that any candidate has; else uniform. */
import type { Deployment } from '../domain/deployment.ts';

const fields = ['weight', 'rpm', 'tpm'] as const;

/** @param random in [0, 1). @returns undefined only when there is no candidate. */
export function simpleShuffle(candidates: readonly Deployment[], random: () => number): Deployment | undefined {
  if (candidates.length <= 1) return candidates[0];
  const field = fields.find((name) => candidates.some((candidate) => candidate[name] !== undefined));
  const weightOf = (candidate: Deployment): number => (field === undefined ? 1 : (candidate[field] ?? 0));
  const total = candidates.reduce((sum, candidate) => sum + weightOf(candidate), 0);
  if (total === 0) return candidates[Math.floor(random() * candidates.length)];
  let left = random() * total;
  for (const candidate of candidates) {
    left -= weightOf(candidate);
    if (left < 0) return candidate;
  }
  return candidates.findLast((candidate) => weightOf(candidate) > 0);
}
