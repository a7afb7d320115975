/** Tools and the choice among them. https://ai.google.dev/api/caching#Tool, https://ai.google.dev/api/caching#FunctionCallingConfig */
import type { JsonObject } from '../../domain/request.ts';
import type { Prompt, Tool } from '../chat/prompt.ts';
import { type AdapterOptions, inexpressible } from '../chat/refuse.ts';
import { isObject } from '../json.ts';

export function toTools(prompt: Prompt, searches: boolean, options: AdapterOptions): JsonObject[] | undefined {
  if (prompt.parallelToolCalls === false && prompt.tools.length > 1 && !options.dropParams) {
    throw inexpressible('parallel_tool_calls', 'gemini', 'it cannot be kept from calling several tools at once');
  }
  const functionDeclarations = prompt.tools.flatMap(toDeclaration);
  const tools = [
    ...(functionDeclarations.length === 0 ? [] : [{ functionDeclarations }]),
    ...prompt.tools.flatMap(toOwnTool),
    ...(searches ? [{ googleSearch: {} }] : []),
  ];
  return tools.length === 0 ? undefined : tools;
}

/** `parametersJsonSchema` takes JSON schema as it is; `parameters` would be another dialect. */
function toDeclaration(tool: Tool): JsonObject[] {
  if (tool.is === 'foreign') return [];
  const { name, description, parameters } = tool;
  return [
    {
      name,
      ...(description === undefined ? {} : { description }),
      ...(parameters === undefined ? {} : { parametersJsonSchema: parameters }),
    },
  ];
}

/** A tool in Gemini's own words, for example `{ googleSearch: {} }`. */
function toOwnTool(tool: Tool): JsonObject[] {
  if (tool.is === 'function') return [];
  if (isObject(tool.tool['custom']))
    throw inexpressible(tool.at, 'gemini', 'tools take JSON objects; define a function');
  return [tool.tool];
}

export function toFunctionCallingConfig(prompt: Prompt): JsonObject | undefined {
  if (prompt.tools.length === 0) return undefined;
  switch (prompt.toolChoice?.is) {
    case undefined:
      return undefined;
    case 'auto':
      return { mode: 'AUTO' };
    case 'none':
      return { mode: 'NONE' };
    case 'required':
      return { mode: 'ANY' };
    case 'named':
      return { mode: 'ANY', allowedFunctionNames: [prompt.toolChoice.name] };
  }
}
