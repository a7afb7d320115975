/** A YAML document whose values can be traced back to their lines. */
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type YAMLError } from 'yaml';

export type ConfigPath = readonly (string | number)[];

export interface ConfigFault {
  readonly path: string;
  /** Line in the file, from 1; undefined when the fault is that something is missing altogether. */
  readonly line: number | undefined;
  /** What is wrong and what to write instead. */
  readonly message: string;
  /** Set when the file is not at fault, but one of the deployments that were added to it: which one, from 0. */
  readonly added?: number;
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
  // Without `stringKeys` a block as a key becomes text, secrets and all, and the parser warns about it on its own.
  const document = parseDocument(text, { lineCounter: counter, uniqueKeys: true, merge: true, stringKeys: true });
  const faults = document.errors.map((error) => ({
    path: '(syntax)',
    line: counter.linePos(error.pos[0]).line,
    message: `${withoutContent(error)}; the file must be valid YAML`,
  }));
  let value: unknown;
  // After a syntax error the tree is a guess; reporting faults inside a guess would mislead.
  if (faults.length === 0) {
    try {
      value = withoutCycles(document.toJS({ maxAliasCount: 100 }), []);
    } catch (error) {
      // Aliases that expand without end, or that contain themselves.
      const message = error instanceof Error ? error.message.split(':')[0] : String(error);
      faults.push({ path: '(syntax)', line: 1, message: `${message}; write out what the aliases stand for` });
    }
  }
  return {
    value,
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

/** @throws when a value contains itself, which aliases can do. */
function withoutCycles(value: unknown, above: readonly unknown[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (above.includes(value)) throw new Error('An alias contains itself');
  for (const item of Object.values(value)) withoutCycles(item, [...above, value]);
  return value;
}

/** What the parser says, less the piece of the file that it quotes: that may be a key. */
const withoutContent = ({ code, message }: YAMLError): string =>
  (quotingErrors.has(code)
    ? message.replace(/(: |Invalid escape sequence )[\s\S]*$/, '$1').replace(/:? $/, '')
    : message
  )
    .split('\n')[0]
    ?.replace(/ at line \d+, column \d+:?$/, '') ?? code;

const quotingErrors: ReadonlySet<string> = new Set([
  'BAD_ALIAS',
  'BAD_DIRECTIVE',
  'BAD_DQ_ESCAPE',
  'BAD_SCALAR_START',
  'TAG_RESOLVE_FAILED',
  'UNEXPECTED_TOKEN',
]);

/** `model_list[0].litellm_params.model` */
export const formatPath = (path: ConfigPath): string =>
  path
    .map((step, index) => (typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${shownKey(step)}`))
    .join('') || '(file)';

/** In a damaged file a secret may stand where a key should; what does not look like a name is not repeated. */
const shownKey = (key: string): string => (/^[\w ./*-]{1,80}$/.test(key) ? key : '(a key)');

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
