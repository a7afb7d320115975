/** Reads JSON of unknown shape without assuming anything about it. */
import type { JsonObject } from '../domain/request.ts';

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : {});

export const objectsOf = (value: unknown): readonly JsonObject[] =>
  Array.isArray(value) ? value.filter(isObject) : [];

export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The text, or undefined for anything else and for the empty text. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/** A number of tokens, or 0 for anything else. */
export const countOf = (value: unknown): number =>
  Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : 0;

/** @returns undefined when the text is not JSON: a fact about who wrote it, not a fault here. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export const printBody = (body: JsonObject): Buffer => Buffer.from(JSON.stringify(body));

/** For a block that is left out when it would be empty. */
export const orNothing = (members: JsonObject): JsonObject | undefined =>
  Object.keys(members).length === 0 ? undefined : members;

/** The given members without those that have no value. */
export const present = (members: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
