/**
 * What providers send ahead of an answer: a role, results of a content filter, comments. It commits to nothing, so a
 * failure behind it can still be tried elsewhere. Only asked about until an answer begins.
 */
import { isObject } from './json.ts';

/** @param block whole events in OpenAI's format. */
export function isOpening(block: Buffer): boolean {
  return block
    .toString()
    .split(/\r?\n/)
    .every((line) => !line.startsWith('data:') || isOpeningData(line.slice(5).trim()));
}

function isOpeningData(data: string): boolean {
  if (data === '' || data === '[DONE]') return true;
  let chunk: unknown;
  try {
    chunk = JSON.parse(data);
  } catch (error) {
    // Not a chunk: whoever reads it may know what it is.
    if (error instanceof SyntaxError) return false;
    throw error;
  }
  const choices = isObject(chunk) ? chunk['choices'] : undefined;
  return Array.isArray(choices) && choices.every(saysNothing);
}

function saysNothing(choice: unknown): boolean {
  if (!isObject(choice)) return false;
  const { delta, finish_reason: finishReason } = choice;
  if (typeof finishReason === 'string') return false;
  return isObject(delta) && Object.entries(delta).every(([member, value]) => member === 'role' || isEmpty(value));
}

const isEmpty = (value: unknown): boolean =>
  value === null || value === '' || (Array.isArray(value) && value.length === 0);
