/** Turns what zod found into sentences that name the field, what is wrong with the value, and the mend. */
import type { z } from 'zod';
import { type ConfigDocument, type ConfigFault, type ConfigPath, formatPath } from './document.ts';
import { prefix } from './environment.ts';

/** Examples for the fields that people get wrong; the last step of the path finds them. */
const examples: Readonly<Record<string, string>> = {
  model_list: 'a list of deployments, each with model_name and litellm_params',
  model_name: 'the name that clients will call, for example gpt-4o',
  litellm_params: 'a block with at least model: provider/name',
  model: 'provider/name, for example openai/gpt-4o',
  api_base: 'an address, for example https://api.openai.com/v1',
  master_key: 'a key that starts with "sk-", for example os.environ/LITELLM_MASTER_KEY',
  database_url: 'postgresql://user:password@host:5432/database',
  fallbacks: 'a list such as - gpt-4o: [claude-3-5-sonnet]',
  context_window_fallbacks: 'a list such as - gpt-4o: [gpt-4o-long]',
  retry_policy: 'a block such as RateLimitErrorRetries: 3',
  routing_strategy: 'simple-shuffle',
};

const secretFields = new Set([
  'api_key',
  'aws_access_key_id',
  'aws_secret_access_key',
  'aws_session_token',
  'aws_web_identity_token',
  'master_key',
  'database_url',
  'redis_password',
  'redis_url',
  'redis_sentinel_password',
  'sentinel_password',
  'password',
  'url',
]);

/** @param value the file with its variables resolved. */
export function faultsOf(error: z.ZodError, document: ConfigDocument, value: unknown): ConfigFault[] {
  return error.issues
    .flatMap((issue) => flatten(issue))
    .map(({ issue, path }) => {
      const written = valueAt(document.value, path);
      // The value of a variable is nobody's business, whatever field it was put into.
      const isVariable = typeof written === 'string' && written.startsWith(prefix);
      const at = valueAt(value, path);
      return {
        path: formatPath(path),
        line: document.lineOf(path),
        message: sentence(issue, path, at, isVariable ? `the value of ${written.slice(prefix.length)}` : undefined),
      };
    });
}

interface FlatIssue {
  readonly issue: z.core.$ZodIssue;
  readonly path: ConfigPath;
}

/** Of a union, the branch that came closest speaks: the one with the deepest fault, or the fewest of that depth. */
function flatten(issue: z.core.$ZodIssue, base: ConfigPath = []): FlatIssue[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
  if (issue.code === 'invalid_union') {
    const branches = issue.errors.map((branch) => branch.flatMap((inner) => flatten(inner, path)));
    const deepest = (branch: readonly FlatIssue[]) => Math.max(0, ...branch.map((flat) => flat.path.length));
    const best = branches.toSorted((a, b) => deepest(b) - deepest(a) || a.length - b.length)[0];
    if (best !== undefined && deepest(best) > path.length) return best;
    return [{ issue, path }];
  }
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ issue, path: [...path, key] }));
  return [{ issue, path }];
}

function sentence(issue: z.core.$ZodIssue, path: ConfigPath, value: unknown, name: string | undefined): string {
  const field = path.findLast((step) => typeof step === 'string') ?? '';
  const example = examples[field];
  const write = example === undefined ? '' : `; write ${example}`;
  const shown = name ?? (secretFields.has(field) ? 'the value' : show(value));
  switch (issue.code) {
    case 'invalid_type':
      if (value === undefined) return `is missing${write}`;
      if (issue.expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')) {
        return `${shown} is not text; put it in quotes`;
      }
      // A forgotten space behind a colon makes text of a whole block, with whatever stands in it.
      if (typeof value === 'string' && blocks.has(issue.expected)) {
        return `text is not ${article(issue.expected)}; write key: value, with a space behind the colon`;
      }
      return `${shown} is not ${article(issue.expected)}${write}`;
    case 'too_small':
      if (issue.origin === 'array' || value === '') return `is empty${write}`;
      if (issue.origin === 'string') return `is too short; the least is ${issue.minimum} characters`;
      return `${shown} is too small; the least is ${issue.inclusive === false ? 'more than ' : ''}${issue.minimum}`;
    case 'too_big':
      return `${shown} is too large; the most is ${issue.maximum}`;
    case 'invalid_value':
      return `${shown} is not known; choose one of ${issue.values.map(String).join(', ')}`;
    case 'unrecognized_keys':
      return `is not a key of this block; remove it or correct its spelling${write}`;
    case 'invalid_format':
      return `${shown} has the wrong form${write}`;
    case 'invalid_union':
      return value === undefined ? `is missing${write}` : `${shown} has the wrong shape${write}`;
    case 'invalid_key':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'custom':
      return `${shown}: ${issue.message}${write}`;
  }
}

const blocks: ReadonlySet<string> = new Set(['object', 'record', 'array']);

function valueAt(root: unknown, path: ConfigPath): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}

function show(value: unknown): string {
  if (typeof value === 'string') return `"${value.length > 60 ? `${value.slice(0, 57)}...` : value}"`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a block';
  return String(value);
}

const article = (type: string): string =>
  ({
    object: 'a block of keys',
    record: 'a block of keys',
    array: 'a list',
    number: 'a number',
    int: 'a whole number',
    string: 'text',
    boolean: 'true or false',
  })[type] ?? type;
