/**
 * LiteLLM's `drop_params` and `additional_drop_params`: what a request leaves out for one deployment. Stated in the request,
 * for the deployment, or for all, the nearest counts; lists add up. https://docs.litellm.ai/docs/completion/drop_params
 */
import type { Deployment } from '../domain/deployment.ts';
import { specOf } from '../domain/operation.ts';
import type { JsonObject, ModelRequest } from '../domain/request.ts';
import { type AdapterOptions, malformed } from './chat/refuse.ts';
import { isObject } from './json.ts';

/** Whether what the provider cannot express is left out instead of refused. @throws Refusal 400. */
export function dropsInexpressible(request: ModelRequest, deployment: Deployment, options: AdapterOptions): boolean {
  const stated = request.body['drop_params'] ?? undefined;
  if (stated !== undefined && typeof stated !== 'boolean') throw malformed('drop_params', 'true or false');
  return stated ?? deployment.dropParams ?? options.dropParams;
}

/** They say where a request goes and how it is answered, which is not open any more. */
const kept: ReadonlySet<string> = new Set(['model', 'stream']);

/** The request without what is always left out; the same one when that is nothing. @throws Refusal 400. */
export function withoutDropped(request: ModelRequest, { droppedParams }: Deployment): ModelRequest {
  const stated = request.body['additional_drop_params'] ?? undefined;
  if ((stated === undefined && droppedParams === undefined) || specOf(request.operation).takes !== 'json')
    return request;
  const paths = [...(droppedParams ?? []), ...readPaths(stated)].filter((path) => !kept.has(path));
  const body = paths.reduce(without, request.body);
  return body === request.body ? request : { ...request, body, bytes: Buffer.from(JSON.stringify(body)) };
}

function readPaths(stated: unknown): string[] {
  if (stated === undefined) return [];
  if (!Array.isArray(stated)) throw malformed('additional_drop_params', 'a list of names');
  return stated.map((path: unknown) => {
    if (typeof path === 'string') return path;
    throw malformed('additional_drop_params', 'a list of names');
  });
}

/** @param path a member's name, or a way to one: `response_format.strict`, `tools[0].function`, `tools[*].function.strict`. */
function without(body: JsonObject, path: string): JsonObject {
  if (Object.hasOwn(body, path)) return omitted(body, [path]);
  return omitted(body, path.replace(/\[(\*|\d+)\]/g, '.$1').split('.'));
}

/** The very same value when nothing is there to leave out. */
function omitted(value: JsonObject, steps: readonly string[]): JsonObject;
function omitted(value: unknown, steps: readonly string[]): unknown;
function omitted(value: unknown, [step = '', ...rest]: readonly string[]): unknown {
  if (Array.isArray(value)) {
    const items: readonly unknown[] = value;
    const isMeant = (index: number): boolean => step === '*' || step === String(index);
    if (!items.some((_item, index) => isMeant(index))) return value;
    if (rest.length === 0) return items.filter((_item, index) => !isMeant(index));
    return changed(items, (item, index) => (isMeant(index) ? omitted(item, rest) : item));
  }
  if (!isObject(value) || !Object.hasOwn(value, step)) return value;
  const others = Object.entries(value);
  if (rest.length === 0) return Object.fromEntries(others.filter(([name]) => name !== step));
  const inner = omitted(value[step], rest);
  return inner === value[step]
    ? value
    : Object.fromEntries(others.map(([name, item]) => [name, name === step ? inner : item]));
}

function changed(items: readonly unknown[], change: (item: unknown, index: number) => unknown): readonly unknown[] {
  const results = items.map(change);
  return results.some((result, index) => result !== items[index]) ? results : items;
}
