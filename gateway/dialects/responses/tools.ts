/** Tools of a Responses request. https://platform.openai.com/docs/api-reference/responses/create#responses-create-tools */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, present } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';
import type { DialectOptions } from '../dialect.ts';

export function toolsOf(tools: unknown, { dropParams }: DialectOptions): JsonObject[] | undefined {
  if (tools === undefined || tools === null) return undefined;
  if (!Array.isArray(tools)) throw malformed('tools', 'a list of tools');
  const usable = dropParams ? tools.filter((tool) => !isHosted(tool)) : tools;
  // Chat completions refuse an empty list.
  return usable.length === 0 ? undefined : usable.map((tool, index) => toolOf(tool, `tools[${index}]`));
}

/** Whether it runs at OpenAI, or is called in a way that only OpenAI knows. */
const isHosted = (tool: unknown): boolean =>
  isObject(tool) && typeof tool['type'] === 'string' && tool['type'] !== 'function';

function toolOf(tool: unknown, path: string): JsonObject {
  if (!isObject(tool)) throw malformed(path, 'a tool');
  if (tool['type'] !== 'function') {
    throw inexpressible(`${path}.type`, `only functions; ${JSON.stringify(tool['type'])} runs at OpenAI`);
  }
  if (typeof tool['name'] !== 'string') throw malformed(`${path}.name`, 'the name of a function');
  return {
    type: 'function',
    function: present({
      name: tool['name'],
      description: tool['description'],
      parameters: tool['parameters'],
      strict: tool['strict'],
    }),
  };
}

export function toolChoiceOf(choice: unknown, { dropParams }: DialectOptions): unknown {
  if (choice === undefined || choice === null) return undefined;
  if (choice === 'none' || choice === 'auto' || choice === 'required') return choice;
  if (!isObject(choice)) throw malformed('tool_choice', 'none, auto, required or an object');
  switch (choice['type']) {
    case 'function':
      return namedFunction(choice, 'tool_choice');
    case 'allowed_tools': {
      const { mode, tools } = choice;
      if (!Array.isArray(tools)) throw malformed('tool_choice.tools', 'a list of tools');
      const usable = dropParams ? tools.filter((tool) => !isHosted(tool)) : tools;
      if (usable.length === 0 && tools.length > 0) return undefined;
      const allowed = usable.map((tool, index) => namedFunction(tool, `tool_choice.tools[${index}]`));
      return { type: 'allowed_tools', allowed_tools: { mode, tools: allowed } };
    }
    default:
      if (dropParams && isHosted(choice)) return undefined;
      throw inexpressible('tool_choice.type', 'only functions can be chosen');
  }
}

function namedFunction(tool: unknown, path: string): JsonObject {
  if (!isObject(tool) || tool['type'] !== 'function' || typeof tool['name'] !== 'string') {
    throw inexpressible(path, 'only functions, by their name');
  }
  return { type: 'function', function: { name: tool['name'] } };
}
