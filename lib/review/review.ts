import type { Evidence } from '../platform/evidence.ts';
import type { Platform } from '../platform/platform.ts';
import type { Assembly } from './assemble.ts';
import type { StackChange } from './changes.ts';
import { type PromotionCommands, promotionCommands } from './promotion.ts';

/** Manifests written for one region. */
export interface ManifestFile {
  readonly region: string;
  readonly file: string;
  readonly resources: number;
  readonly kinds: Readonly<Record<string, number>>;
  /** What is in it. */
  readonly text?: string;
}

/** What a review is held against, beside the templates. */
export interface Background {
  /** `2026-11-21`; evidence has an age. */
  readonly today: string;
  readonly evidence: readonly Evidence[];
  /** Undefined when there is no earlier synth. */
  readonly changes: readonly StackChange[] | undefined;
}

/** Everything that `npm run synth` shows. */
export interface Review extends Assembly, Background {
  readonly platform: Platform;
  readonly manifests: readonly ManifestFile[];
  /** One for each region whose database is a replica. */
  readonly promotions: readonly PromotionCommands[];
  /** A platform with an error must not be deployed. */
  readonly deployable: boolean;
}

/** Puts together what was synthesized. */
export function review(
  platform: Platform,
  assembly: Assembly,
  manifests: readonly ManifestFile[],
  background: Background,
): Review {
  return {
    ...assembly,
    ...background,
    platform,
    manifests,
    promotions: platform.regions
      .filter((region) => region.databaseSource !== undefined)
      .map((region) => promotionCommands(platform, region)),
    deployable: !assembly.findings.some((finding) => finding.severity === 'error'),
  };
}
