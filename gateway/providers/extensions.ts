/**
 * Members beyond OpenAI's own that a request may carry when it was translated from another API (LiteLLM's names). OpenAI
 * refuses members it does not know; other servers that speak its format may know some, so only for it they are left out.
 */
import type { JsonObject } from '../domain/request.ts';

const atTheTop = new Set(['thinking', 'top_k', 'output_config']);
const anywhereBelow = new Set(['cache_control', 'thinking_blocks', 'reasoning_content']);

export function withoutExtensions(body: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(body)
      .filter(([member]) => !atTheTop.has(member))
      // A tool's parameters are the client's own schema and may well have a property of such a name.
      .map(([member, value]) => [member, member === 'messages' || member === 'tools' ? pruned(value) : value]),
  );
}

function pruned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pruned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([member]) => !anywhereBelow.has(member))
      .map(([member, item]) => [member, member === 'parameters' ? item : pruned(item)]),
  );
}
