/** Tools and the choice among them. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html */
import type { JsonObject } from '../../domain/request.ts';
import type { Prompt, Tool } from '../chat/prompt.ts';
import { type AdapterOptions, inexpressible } from '../chat/refuse.ts';
import { cachePoint } from './messages.ts';

export function toToolConfig(prompt: Prompt): JsonObject | undefined {
  const called = [
    ...new Set(prompt.turns.flatMap((turn) => (turn.role === 'assistant' ? turn.calls : [])).map(({ name }) => name)),
  ];
  // There is no choice `none`: without tools none can be called, but a conversation with calls must define some.
  if (prompt.toolChoice?.is === 'none' && called.length === 0) return undefined;
  if (prompt.tools.length > 0) {
    const toolChoice = toToolChoice(prompt);
    return { tools: prompt.tools.flatMap(toTools), ...(toolChoice === undefined ? {} : { toolChoice }) };
  }
  return called.length === 0
    ? undefined
    : { tools: called.map((name) => ({ toolSpec: { name, inputSchema: anyInput } })) };
}

const anyInput = { json: { type: 'object', properties: {} } };

function toTools(tool: Tool): JsonObject[] {
  if (tool.is === 'foreign') {
    // A tool in Converse's own words.
    if ('toolSpec' in tool.tool || 'systemTool' in tool.tool || 'cachePoint' in tool.tool) return [tool.tool];
    throw inexpressible(tool.at, 'bedrock', 'tools take JSON objects; define a function');
  }
  const toolSpec = {
    name: tool.name,
    ...(tool.description === undefined ? {} : { description: tool.description }),
    inputSchema: tool.parameters === undefined ? anyInput : { json: { type: 'object', ...tool.parameters } },
    ...(tool.strict === true ? { strict: true } : {}),
  };
  return [{ toolSpec }, ...cachePoint(tool.cacheControl).map((point) => ({ ...point }))];
}

function toToolChoice(prompt: Prompt): JsonObject | undefined {
  switch (prompt.toolChoice?.is) {
    case undefined:
    case 'none':
      return undefined;
    case 'auto':
      return { auto: {} };
    case 'required':
      return { any: {} };
    case 'named':
      return { tool: { name: prompt.toolChoice.name } };
  }
}

/**
 * Converse cannot forbid several calls at once, but Claude can, in its own words; they must repeat the choice.
 * @returns members of `additionalModelRequestFields`.
 */
export function oneCallAtATime(prompt: Prompt, isClaude: boolean, options: AdapterOptions): JsonObject {
  if (prompt.parallelToolCalls !== false || prompt.tools.length === 0 || prompt.toolChoice?.is === 'none') return {};
  if (!isClaude) {
    if (options.dropParams) return {};
    throw inexpressible(
      'parallel_tool_calls',
      'bedrock',
      'this model cannot be kept from calling several tools at once',
    );
  }
  const choice = prompt.toolChoice;
  const type = choice?.is === 'required' ? 'any' : choice?.is === 'named' ? 'tool' : 'auto';
  const name = choice?.is === 'named' ? { name: choice.name } : {};
  return { tool_choice: { type, ...name, disable_parallel_tool_use: true } };
}
