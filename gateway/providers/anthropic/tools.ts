/** Tools and the choice among them. https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools */
import type { JsonObject } from '../../domain/request.ts';
import type { Prompt, Tool } from '../chat/prompt.ts';
import { inexpressible } from '../chat/refuse.ts';
import type { ClaudeTraits } from '../claude-models.ts';
import { isObject } from '../json.ts';

export function toTools(prompt: Prompt, traits: ClaudeTraits): JsonObject {
  if (prompt.tools.length > 0) {
    const choice = toToolChoice(prompt);
    return {
      tools: prompt.tools.map((tool) => toTool(tool, traits)),
      ...(choice === undefined ? {} : { tool_choice: choice }),
    };
  }
  // A conversation with calls must define the tools that were called, even when none may be called now.
  const called = new Set(
    prompt.turns.flatMap((turn) => (turn.role === 'assistant' ? turn.calls : [])).map(({ name }) => name),
  );
  if (called.size === 0) return {};
  const tools = [...called].map((name) => ({ name, input_schema: anyInput }));
  return { tools, tool_choice: { type: 'none' } };
}

const anyInput = { type: 'object', properties: {} };

function toTool(tool: Tool, traits: ClaudeTraits): JsonObject {
  if (tool.is === 'foreign') {
    if (isObject(tool.tool['custom']))
      throw inexpressible(tool.at, 'anthropic', 'tools take JSON objects; define a function');
    // One of Anthropic's own, for example web_search_20250305.
    return tool.tool;
  }
  return {
    name: tool.name,
    ...(tool.description === undefined ? {} : { description: tool.description }),
    input_schema: tool.parameters === undefined ? anyInput : { type: 'object', ...tool.parameters },
    // OpenAI's strict schemas are within what Anthropic accepts; models without it validate nothing either way.
    ...(tool.strict === true && traits.structuredOutput ? { strict: true } : {}),
    ...(tool.cacheControl === undefined ? {} : { cache_control: tool.cacheControl }),
  };
}

function toToolChoice(prompt: Prompt): JsonObject | undefined {
  const oneAtATime = prompt.parallelToolCalls === false ? { disable_parallel_tool_use: true } : {};
  switch (prompt.toolChoice?.is) {
    case undefined:
      return prompt.parallelToolCalls === false ? { type: 'auto', ...oneAtATime } : undefined;
    case 'auto':
      return { type: 'auto', ...oneAtATime };
    case 'none':
      return { type: 'none' };
    case 'required':
      return { type: 'any', ...oneAtATime };
    case 'named':
      return { type: 'tool', name: prompt.toolChoice.name, ...oneAtATime };
  }
}
