/**
 * A JSON schema within what structured outputs accept: objects are closed, and constraints that the decoder cannot keep
 * become part of the description, as Anthropic's own SDKs do it.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
 */
import type { JsonObject } from '../domain/request.ts';
import { malformed } from './chat/refuse.ts';
import { isObject, objectsOf, present, textOf } from './json.ts';

const formats: ReadonlySet<unknown> = new Set([
  'date-time',
  'time',
  'date',
  'duration',
  'email',
  'hostname',
  'uri',
  'ipv4',
  'ipv6',
  'uuid',
]);

/** Members that are handled one by one; every other one moves to the description. `$schema` constrains nothing. */
const handled: ReadonlySet<string> = new Set(
  `$schema $defs definitions $ref type enum const anyOf oneOf allOf description title default properties required
  additionalProperties items`.split(/\s+/),
);

export const closedSchema = (schema: JsonObject): JsonObject => closed(schema, 0);

/** Deeper than any schema for people; without a limit a request could exhaust the stack. */
const deepest = 100;

function closed(schema: JsonObject, depth: number): JsonObject {
  if (depth > deepest) throw malformed('response_format', 'a schema that is less deep');
  const definitions = present({
    $defs: mapped(schema['$defs'], depth),
    definitions: mapped(schema['definitions'], depth),
  });
  if (textOf(schema['$ref']) !== undefined) return { ...definitions, $ref: schema['$ref'] };
  const isOpen = schema['type'] === 'object' || isObject(schema['properties']);
  const unkept = Object.entries(schema).filter(([name, value]) => !handled.has(name) && !isKept(name, value));
  const kept = Object.entries(schema).filter(([name, value]) => !handled.has(name) && isKept(name, value));
  return present({
    ...definitions,
    type: schema['type'],
    title: schema['title'],
    description: describe(schema['description'], unkept),
    default: schema['default'],
    enum: schema['enum'],
    const: schema['const'],
    anyOf: variants(schema['anyOf'] ?? schema['oneOf'], depth),
    allOf: variants(schema['allOf'], depth),
    properties: mapped(schema['properties'], depth) ?? (isOpen ? {} : undefined),
    required: schema['required'],
    additionalProperties: isOpen ? false : undefined,
    items: isObject(schema['items']) ? closed(schema['items'], depth + 1) : schema['items'],
    ...Object.fromEntries(kept),
  });
}

const isKept = (name: string, value: unknown): boolean =>
  name === 'format' ? formats.has(value) : name === 'minItems' && (value === 0 || value === 1);

const mapped = (schemas: unknown, depth: number): JsonObject | undefined =>
  isObject(schemas)
    ? Object.fromEntries(
        Object.entries(schemas).map(([name, schema]) => [name, isObject(schema) ? closed(schema, depth + 1) : schema]),
      )
    : undefined;

const variants = (schemas: unknown, depth: number): JsonObject[] | undefined =>
  Array.isArray(schemas) ? objectsOf(schemas).map((schema) => closed(schema, depth + 1)) : undefined;

function describe(description: unknown, unkept: readonly [string, unknown][]): string | undefined {
  const rules = unkept.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ');
  const parts = [textOf(description), rules === '' ? undefined : `{${rules}}`].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join('\n\n');
}
