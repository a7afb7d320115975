/** Text with a little structure, written once and rendered as Markdown or as a page. */

export type Block =
  | { readonly is: 'heading'; readonly level: 1 | 2 | 3; readonly text: string }
  | { readonly is: 'paragraph'; readonly text: string }
  | { readonly is: 'list'; readonly items: readonly string[]; readonly tasks?: true }
  | { readonly is: 'code'; readonly lines: readonly string[] }
  | { readonly is: 'table'; readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

export type Document = readonly Block[];

export const toMarkdown = (document: Document): string => `${document.map(markdownOf).join('\n\n')}\n`;

function markdownOf(block: Block): string {
  switch (block.is) {
    case 'heading':
      return `${'#'.repeat(block.level)} ${oneLine(block.text)}`;
    case 'paragraph':
      return oneLine(block.text);
    case 'list':
      return block.items.map((item) => `- ${block.tasks === true ? '[ ] ' : ''}${oneLine(item)}`).join('\n');
    case 'code':
      return ['```sh', ...block.lines, '```'].join('\n');
    case 'table':
      return [block.head, block.head.map(() => '---'), ...block.rows].map(markdownRow).join('\n');
  }
}

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, ' ');
const markdownRow = (cells: readonly string[]): string =>
  `| ${cells.map((cell) => oneLine(cell).replaceAll('|', '\\|')).join(' | ')} |`;

/** A page that needs nothing but itself: it is mailed, archived and read when the network is not there. */
export const toHtml = (document: Document, title: string): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
table{border-collapse:collapse;width:100%}td,th{border:1px solid #c8ccd1;padding:.3rem .6rem;text-align:left;vertical-align:top}
pre{background:#f3f4f6;padding:.8rem;overflow:auto}h1,h2,h3{line-height:1.2}
@media (prefers-color-scheme:dark){body{background:#14171a;color:#e4e7ea}pre{background:#22272c}td,th{border-color:#444b52}}
</style></head><body>
${document.map(htmlOf).join('\n')}
</body></html>
`;

function htmlOf(block: Block): string {
  switch (block.is) {
    case 'heading':
      return `<h${block.level}>${escaped(block.text)}</h${block.level}>`;
    case 'paragraph':
      return `<p>${escaped(block.text)}</p>`;
    case 'list':
      return `<ul>${block.items.map((item) => `<li>${escaped(item)}</li>`).join('')}</ul>`;
    case 'code':
      return `<pre>${escaped(block.lines.join('\n'))}</pre>`;
    case 'table':
      return `<table><thead>${htmlRow('th', block.head)}</thead><tbody>${block.rows.map((row) => htmlRow('td', row)).join('')}</tbody></table>`;
  }
}

const htmlRow = (tag: 'td' | 'th', cells: readonly string[]): string =>
  `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => entities[character] ?? character);
