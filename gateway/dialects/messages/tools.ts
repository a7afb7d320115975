/** Tools of a Messages request. https://platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, present, without } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';
import type { DialectOptions } from '../dialect.ts';

export function toolsOf(tools: unknown, { dropParams }: DialectOptions): JsonObject[] | undefined {
  if (tools === undefined || tools === null) return undefined;
  if (!Array.isArray(tools)) throw malformed('tools', 'a list of tools');
  const usable = dropParams ? tools.filter((tool) => !isHosted(tool)) : tools;
  // Chat completions refuse an empty list.
  return usable.length === 0 ? undefined : usable.map((tool, index) => toolOf(tool, `tools[${index}]`));
}

/** Whether it runs at Anthropic, or the model was taught it there. */
const isHosted = (tool: unknown): boolean => isObject(tool) && (tool['type'] ?? 'custom') !== 'custom';

function toolOf(tool: unknown, path: string): JsonObject {
  if (!isObject(tool) || typeof tool['name'] !== 'string') throw malformed(path, 'a tool with a name');
  const type = tool['type'] ?? 'custom';
  if (type !== 'custom') throw inexpressible(`${path}.type`, `the tool ${JSON.stringify(type)} runs at Anthropic only`);
  return {
    ...without(tool, ['type', 'name', 'description', 'input_schema', 'strict']),
    type: 'function',
    function: present({
      name: tool['name'],
      description: tool['description'],
      parameters: tool['input_schema'],
      strict: tool['strict'],
    }),
  };
}

/** `tool_choice` and `parallel_tool_calls`, as far as the client asks for them. */
export function toolChoiceOf(choice: unknown): JsonObject {
  if (choice === undefined || choice === null) return {};
  if (!isObject(choice)) throw malformed('tool_choice', 'an object with a type');
  return {
    tool_choice: named(choice),
    ...(choice['disable_parallel_tool_use'] === true ? { parallel_tool_calls: false } : {}),
  };
}

function named(choice: JsonObject): unknown {
  switch (choice['type']) {
    case 'auto':
      return 'auto';
    case 'any':
      return 'required';
    case 'none':
      return 'none';
    case 'tool':
      if (typeof choice['name'] !== 'string') throw malformed('tool_choice.name', 'the name of a tool');
      return { type: 'function', function: { name: choice['name'] } };
    default:
      throw malformed('tool_choice.type', 'auto, any, tool or none');
  }
}
