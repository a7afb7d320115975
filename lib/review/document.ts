/** The review as documents: Markdown for a merge request, HTML for a browser, with a picture and every exception's reason; JSON. */
import { servingAvailability } from './availability.ts';
import { checklist } from './checklist.ts';
import { drawingOf, mermaidOf, svgOf } from './drawing.ts';
import type { Review } from './review.ts';
import { sectionsOf } from './text.ts';

export function reviewAsMarkdown(review: Review): string {
  return [
    '# Review of the platform',
    '',
    `Synthesized on ${review.today}.`,
    '',
    '```mermaid',
    mermaidOf(drawingOf(review)),
    '```',
    '',
    ...sectionsOf(review).flatMap(({ title, lines }) => [
      `## ${title}`,
      '',
      '```text',
      ...lines.map((line) => line.trimEnd()),
      '```',
      '',
    ]),
    '# Rules that are not followed, and why',
    '',
    ...review.exceptions.flatMap(({ rule, reason, where }) => [
      `## ${rule}`,
      '',
      reason,
      '',
      ...where.map((path) => `- \`${path}\``),
      '',
    ]),
  ].join('\n');
}

export function reviewAsHtml(review: Review): string {
  const parts = sectionsOf(review).map(
    ({ title, lines }) => `<h2>${escaped(title)}</h2>\n<pre>${escaped(lines.join('\n'))}</pre>`,
  );
  const exceptions = review.exceptions.map(
    ({ rule, reason, where }) =>
      `<h3>${escaped(rule)}</h3>\n<p>${escaped(reason)}</p>\n<ul>${where.map((path) => `<li><code>${escaped(path)}</code></li>`).join('')}</ul>`,
  );
  const changes = (review.changes ?? []).map(
    ({ stack, is, resources }) => `<h3>${escaped(stack)}: ${is}</h3>\n<pre>${escaped(resources.join('\n'))}</pre>`,
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Review of ${escaped(review.platform.name)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
pre { background: #f4f5f7; padding: 1rem; overflow-x: auto; font-size: 13px; }
svg { max-width: 100%; height: auto; }
</style>
<h1>Review of ${escaped(review.platform.name)}</h1>
<p>Synthesized on ${review.today}.</p>
${svgOf(drawingOf(review))}
${parts.join('\n')}
${changes.length === 0 ? '' : `<h2>All changes</h2>\n${changes.join('\n')}`}
<h2>Rules that are not followed, and why</h2>
${exceptions.join('\n')}
</html>
`;
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

export const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => entities[sign] ?? sign);

/** The review for programs: names and numbers, without the templates. */
export function reviewAsJson(whole: Review): string {
  const { platform, stacks, manifests, ...rest } = whole;
  return JSON.stringify(
    {
      platform,
      stacks: stacks.map(({ name, region, template }) => ({
        name,
        region,
        resources: Object.keys(template.Resources).length,
        parameters: template.Parameters ?? {},
      })),
      manifests: manifests.map(({ region, file, resources, kinds }) => ({ region, file, resources, kinds })),
      checklist: checklist(whole),
      servingAvailability: servingAvailability(platform),
      ...rest,
    },
    null,
    2,
  );
}
