/** Where regions can ask of themselves whether they could take over. */
import type { PlatformSpec } from './spec.ts';

/** There is another region to take over from, and AWS to be asked about this one. */
export const canWatch = ({ cluster, topology }: Pick<PlatformSpec, 'cluster' | 'topology'>): boolean =>
  (cluster?.kind ?? 'eks') === 'eks' && topology !== 'single-region';
