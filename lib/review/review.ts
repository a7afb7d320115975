import type { Platform } from '../platform/platform.ts';
import type { Assembly } from './assemble.ts';
import { type PromotionCommands, promotionCommands } from './promotion.ts';

/** Manifests written for one region. */
export interface ManifestFile {
  readonly region: string;
  readonly file: string;
  readonly resources: number;
  readonly kinds: Readonly<Record<string, number>>;
}

/** Everything that `npm run synth` shows. */
export interface Review extends Assembly {
  readonly platform: Platform;
  readonly manifests: readonly ManifestFile[];
  /** One for each region whose database is a replica. */
  readonly promotions: readonly PromotionCommands[];
  /** A platform with an error must not be deployed. */
  readonly deployable: boolean;
}

/** Puts together what was synthesized. */
export function review(platform: Platform, assembly: Assembly, manifests: readonly ManifestFile[]): Review {
  return {
    ...assembly,
    platform,
    manifests,
    promotions: platform.regions
      .filter((region) => region.databaseSource !== undefined)
      .map((region) => promotionCommands(platform, region)),
    deployable: !assembly.findings.some((finding) => finding.severity === 'error'),
  };
}

/** The review for programs: names and numbers, without the templates. */
export function reviewAsJson({ platform, stacks, ...rest }: Review): string {
  return JSON.stringify(
    {
      platform,
      stacks: stacks.map(({ name, region, template }) => ({
        name,
        region,
        resources: Object.keys(template.Resources).length,
        parameters: template.Parameters ?? {},
      })),
      ...rest,
    },
    null,
    2,
  );
}
