import { deploymentSection, findingsSection, manifestsSection, promotionSection } from './operation-sections.ts';
import { namesSection, platformSection, redundancySection, stacksSection } from './platform-sections.ts';
import type { Review } from './review.ts';
import type { Section } from './section.ts';
import { reviewWidth } from './wrap.ts';

const sections: readonly ((review: Review) => Section)[] = [
  platformSection,
  stacksSection,
  redundancySection,
  namesSection,
  manifestsSection,
  promotionSection,
  findingsSection,
  deploymentSection,
];

/**
 * The review as text.
 * @param heading how a title is shown, so that a terminal can have it in bold
 */
export function reviewAsText(review: Review, heading: (title: string) => string): string {
  return sections
    .map((section) => section(review))
    .map(({ title, lines }) => {
      const rule = '─'.repeat(Math.max(0, reviewWidth - title.length - 4));
      return [heading(`── ${title} ${rule}`), ...lines.map((line) => line.trimEnd())].join('\n');
    })
    .join('\n\n');
}

/** The exceptions as a document, for whoever has to judge them. */
export function exceptionsAsMarkdown({ exceptions }: Review): string {
  const entries = exceptions.map(({ rule, reason, where }) =>
    [`## ${rule}`, '', reason, '', ...where.map((path) => `- \`${path}\``), ''].join('\n'),
  );
  return ['# Rules that are not followed, and why', '', ...entries].join('\n');
}
