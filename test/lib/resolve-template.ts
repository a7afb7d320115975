/** What CloudFormation makes of a template for some parameter values: conditions decided, branches chosen. */
import type { Template } from './synthesize.ts';

type Values = Readonly<Record<string, string>>;

const noValue = Symbol('AWS::NoValue');

/**
 * Resources and outputs for the given parameters, the others at their defaults; none whose condition does not hold. Parameter references become their
 * values; every other reference stays as it is.
 */
export function resolveTemplate(template: Template, given: Values): unknown {
  const defaults = Object.entries(template.Parameters).map(([name, { Default }]) => [name, Default ?? '']);
  const values: Values = { ...Object.fromEntries(defaults), ...given };
  const holds = (name: string): boolean => {
    if (!(name in template.Conditions)) throw new Error(`no condition ${name}`);
    return decide(template.Conditions[name], values, holds);
  };
  const standing = Object.entries(template.Resources).filter(
    ([, { Condition }]) => Condition === undefined || holds(Condition),
  );
  return resolve({ Resources: Object.fromEntries(standing), Outputs: template.Outputs }, values, holds);
}

function decide(expression: unknown, values: Values, holds: (condition: string) => boolean): boolean {
  const [name, argument] = intrinsic(expression) ?? ['', undefined];
  const parts = Array.isArray(argument) ? argument : [];
  switch (name) {
    case 'Fn::Equals': {
      const [left, right] = parts.map((part) => resolve(part, values, holds));
      return left === right;
    }
    case 'Fn::Or':
      return parts.some((part) => decide(part, values, holds));
    case 'Fn::And':
      return parts.every((part) => decide(part, values, holds));
    case 'Fn::Not':
      return !decide(parts[0], values, holds);
    case 'Condition':
      return holds(String(argument));
    default:
      throw new Error(`not a condition: ${JSON.stringify(expression)}`);
  }
}

function resolve(value: unknown, values: Values, holds: (condition: string) => boolean): unknown {
  if (Array.isArray(value)) {
    return value.map((item) => resolve(item, values, holds)).filter((item) => item !== noValue);
  }
  if (typeof value !== 'object' || value === null) return value;
  const [name, argument] = intrinsic(value) ?? ['', undefined];
  if (name === 'Ref' && argument === 'AWS::NoValue') return noValue;
  if (name === 'Ref' && typeof argument === 'string' && argument in values) return values[argument];
  if (name === 'Fn::If' && Array.isArray(argument)) {
    const [condition, whenTrue, whenFalse] = argument;
    return resolve(holds(String(condition)) ? whenTrue : whenFalse, values, holds);
  }
  const entries = Object.entries(value).map(([key, item]) => [key, resolve(item, values, holds)] as const);
  return Object.fromEntries(entries.filter(([, item]) => item !== noValue));
}

function intrinsic(value: unknown): readonly [string, unknown] | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const entries = Object.entries(value);
  return entries.length === 1 ? entries[0] : undefined;
}

/** Paths at which two values differ, each with both sides. */
export function differences(left: unknown, right: unknown, path = ''): string[] {
  if (JSON.stringify(left) === JSON.stringify(right)) return [];
  const keys = new Set([...keysOf(left), ...keysOf(right)]);
  if (keys.size === 0 || !isObject(left) || !isObject(right)) {
    return [`${path}: ${JSON.stringify(left)} -> ${JSON.stringify(right)}`];
  }
  return [...keys].flatMap((key) => differences(left[key], right[key], path === '' ? key : `${path}.${key}`));
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const keysOf = (value: unknown): string[] => (isObject(value) ? Object.keys(value) : []);
