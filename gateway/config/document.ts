/** A YAML document whose values can be traced back to their lines. */
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';

export type ConfigPath = readonly (string | number)[];

export interface ConfigFault {
  readonly path: string;
  /** Line in the file, from 1; undefined when the fault is that something is missing altogether. */
  readonly line: number | undefined;
  /** What is wrong and what to write instead. */
  readonly message: string;
}

export interface ConfigDocument {
  readonly value: unknown;
  readonly faults: readonly ConfigFault[];
  /** Line of a path, or of its nearest ancestor that exists. */
  lineOf(path: ConfigPath): number | undefined;
}

/** Parses YAML; syntax errors and duplicate keys come back as faults with their lines. */
export function parseConfigDocument(text: string): ConfigDocument {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true, merge: true });
  const faults = document.errors.map((error) => ({
    path: '(syntax)',
    line: counter.linePos(error.pos[0]).line,
    message: `${error.message.split('\n')[0] ?? error.code}; the file must be valid YAML`,
  }));
  return {
    // After a syntax error the tree is a guess; reporting faults inside a guess would mislead.
    value: faults.length > 0 ? undefined : document.toJS({ maxAliasCount: 100 }),
    faults,
    lineOf(path) {
      let node: unknown = document.contents;
      let line = lineOfNode(node, counter);
      for (const step of path) {
        const entry = childOf(node, step);
        if (entry === undefined) break;
        line = lineOfNode(entry.at, counter) ?? line;
        node = entry.value;
      }
      return line;
    },
  };
}

/** `model_list[0].litellm_params.model` */
export const formatPath = (path: ConfigPath): string =>
  path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('') ||
  '(file)';

function childOf(node: unknown, step: string | number): { at: unknown; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
    return pair === undefined ? undefined : { at: pair.key, value: pair.value };
  }
  if (isSeq(node) && typeof step === 'number') {
    const item = node.items[step];
    return item === undefined ? undefined : { at: item, value: item };
  }
  return undefined;
}

function lineOfNode(node: unknown, counter: LineCounter): number | undefined {
  const range = isNode(node) ? node.range : undefined;
  return range == null ? undefined : counter.linePos(range[0]).line;
}
