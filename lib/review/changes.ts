/** What a synth changed against the one before it. */
import type { Section } from './section.ts';
import type { SynthesizedStack } from './template.ts';

/** The part of a review that is told here. */
interface Changed {
  /** Undefined when there is no earlier synth. */
  readonly changes: readonly StackChange[] | undefined;
}

export interface StackChange {
  readonly stack: string;
  readonly is: 'new' | 'gone' | 'changed';
  /** `+ Type Id`, `- Type Id`, `~ Type Id: Property, Property`. */
  readonly resources: readonly string[];
}

type Templates = Readonly<Record<string, SynthesizedStack['template']>>;

/** Changes by stack, in the order of their names; empty when the templates are the same. */
export function changesSince(before: Templates, after: Templates): StackChange[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].toSorted();
  return names.flatMap((stack): StackChange[] => {
    const [old, now] = [before[stack], after[stack]];
    if (old === undefined) return [{ stack, is: 'new', resources: [] }];
    if (now === undefined) return [{ stack, is: 'gone', resources: [] }];
    const resources = resourceChanges(old, now);
    return resources.length === 0 ? [] : [{ stack, is: 'changed', resources }];
  });
}

function resourceChanges(old: SynthesizedStack['template'], now: SynthesizedStack['template']): string[] {
  const ids = [...new Set([...Object.keys(old.Resources), ...Object.keys(now.Resources)])].toSorted();
  return ids.flatMap((id) => {
    const [before, after] = [old.Resources[id], now.Resources[id]];
    if (before === undefined) return [`+ ${after?.Type} ${id}`];
    if (after === undefined) return [`- ${before.Type} ${id}`];
    const names = [...new Set([...Object.keys(before.Properties ?? {}), ...Object.keys(after.Properties ?? {})])];
    const changed = names.filter(
      (name) => JSON.stringify(before.Properties?.[name]) !== JSON.stringify(after.Properties?.[name]),
    );
    return changed.length === 0 ? [] : [`~ ${after.Type} ${id}: ${changed.join(', ')}`];
  });
}

/** More lines than this do not fit into a review; `cdk diff` tells them all. */
const mostLines = 30;

export function changesSection({ changes }: Changed): Section {
  if (changes === undefined)
    return { title: 'Changes', lines: ['There is no earlier synth in cdk.out to compare with.'] };
  const lines = changes.flatMap(({ stack, is, resources }) => [
    `${stack}${is === 'changed' ? '' : `: ${is}`}`,
    ...resources.map((line) => `  ${line}`),
  ]);
  return {
    title: `Changes since the last synth: ${changes.length === 0 ? 'none' : `${changes.length} stacks`}`,
    lines:
      lines.length > mostLines
        ? [...lines.slice(0, mostLines), `... and ${lines.length - mostLines} lines more, see cdk.out/review.html`]
        : lines,
  };
}
