/** Widest line of the review, so that it can be read in a split window and pasted into a ticket. */
export const reviewWidth = 110;

/** Breaks a text into lines of the review's width; the first begins with `lead`, the others are indented as far. */
export function wrap(text: string, lead = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && lead.length + line.length + 1 + word.length > reviewWidth) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].map((part, index) => `${index === 0 ? lead : ' '.repeat(lead.length)}${part}`);
}
