/** What differs between two texts, line by line. */

/** Lines that stay the same are shown so far around those that do not. */
const around = 3;
/** Beyond it the comparison, which is quadratic, would hold up requests; then the middle is shown as replaced. */
const mostCells = 4_000_000;

/** @returns lines with `-`, `+` or a blank before them; `...` where some that stay are left out. */
export function diffLines(before: string, after: string): string[] {
  const a = before.split('\n');
  const b = after.split('\n');
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const middle = compare(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  const lines = [
    ...a.slice(0, head).map((line) => ` ${line}`),
    ...middle,
    ...a.slice(a.length - tail).map((line) => ` ${line}`),
  ];
  return shortened(lines);
}

function compare(a: readonly string[], b: readonly string[]): string[] {
  if (a.length * b.length > mostCells) return [...a.map((line) => `-${line}`), ...b.map((line) => `+${line}`)];
  // Length of the longest common part of a[i..] and b[j..].
  const width = b.length + 1;
  const common = new Int32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j]
          ? (common[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(common[(i + 1) * width + j] ?? 0, common[i * width + j + 1] ?? 0);
    }
  }
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(` ${a[i]}`);
      i++;
      j++;
    } else if (
      j >= b.length ||
      (i < a.length && (common[(i + 1) * width + j] ?? 0) >= (common[i * width + j + 1] ?? 0))
    ) {
      lines.push(`-${a[i]}`);
      i++;
    } else {
      lines.push(`+${b[j]}`);
      j++;
    }
  }
  return lines;
}

function shortened(lines: readonly string[]): string[] {
  const near = new Set<number>();
  for (const [index, line] of lines.entries()) {
    if (line.startsWith(' ')) continue;
    for (let at = index - around; at <= index + around; at++) near.add(at);
  }
  const shown: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (near.has(index)) shown.push(line);
    else if (near.has(index - 1)) shown.push('...');
  }
  return shown;
}
