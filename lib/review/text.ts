import { availabilitySection } from './availability.ts';
import { broughtSection } from './brought-section.ts';
import { changesSection } from './changes.ts';
import { checklistSection } from './checklist.ts';
import { costSection } from './cost.ts';
import {
  capacitySection,
  deploymentSection,
  findingsSection,
  manifestsSection,
  promotionSection,
  trafficSection,
} from './operation-sections.ts';
import { namesSection, platformSection, redundancySection, stacksSection } from './platform-sections.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { reviewWidth } from './wrap.ts';

const all: readonly ((review: Review) => Section | undefined)[] = [
  platformSection,
  stacksSection,
  redundancySection,
  broughtSection,
  namesSection,
  manifestsSection,
  costSection,
  availabilitySection,
  checklistSection,
  promotionSection,
  trafficSection,
  capacitySection,
  changesSection,
  findingsSection,
  deploymentSection,
];

/** The parts of a review in their order; one that has nothing to say is left out. */
export const sectionsOf = (review: Review): Section[] => all.flatMap((section) => section(review) ?? []);

/**
 * The review as text.
 * @param heading how a title is shown, so that a terminal can have it in bold
 */
export function reviewAsText(review: Review, heading: (title: string) => string): string {
  return sectionsOf(review)
    .map(({ title, lines }) => {
      const rule = '─'.repeat(Math.max(0, reviewWidth - title.length - 4));
      return [heading(`── ${title} ${rule}`), ...lines.map((line) => line.trimEnd())].join('\n');
    })
    .join('\n\n');
}
