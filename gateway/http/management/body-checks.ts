/** Checks of a body before it is read, and help for one that was mistyped. */
import { invalid } from './actor.ts';

const deepest = 64;

/** Nesting costs stack wherever a value is walked. @throws Refusal 400. */
export function checkDepth(text: string): void {
  let depth = 0;
  let inText = false;
  for (let index = 0; index < text.length; index++) {
    const character = text.charCodeAt(index);
    if (inText) {
      if (character === 92) index++;
      else if (character === 34) inText = false;
    } else if (character === 34) inText = true;
    else if (character === 123 || character === 91) {
      depth++;
      if (depth > deepest) throw invalid(null, `The body is nested deeper than ${deepest} levels`);
    } else if (character === 125 || character === 93) depth--;
  }
}

/** ` (did you mean max_budget?)` for a name that is two letters away at most. */
export function closest(name: string, known: readonly string[]): string {
  if (name.length > 40) return '';
  const [best] = known.map((one) => ({ one, far: distance(name, one) })).toSorted((a, b) => a.far - b.far);
  return best !== undefined && best.far <= 2 ? ` (did you mean ${best.one}?)` : '';
}

/** Letters to change, add or take away. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
