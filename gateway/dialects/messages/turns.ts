/** Turns of a Messages request as canonical messages. https://platform.claude.com/docs/en/api/messages */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectOf, textOf } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';
import { toolOutput } from '../canonical/tool-output.ts';
import type { DialectOptions } from '../dialect.ts';
import { contentOf, partsOf, partsOfBlock } from './content.ts';

export function messagesOf(turns: unknown, options: DialectOptions): JsonObject[] {
  if (!Array.isArray(turns) || turns.length === 0) throw malformed('messages', 'a list with at least one message');
  return turns.flatMap((turn, index) => {
    const path = `messages[${index}]`;
    if (!isObject(turn)) throw malformed(path, 'an object with a role and content');
    const content = turn['content'];
    switch (turn['role']) {
      case 'user':
        return userMessages(content, `${path}.content`);
      case 'assistant':
        return [assistantMessage(content, `${path}.content`, options)];
      case 'system':
        return systemMessages(content, `${path}.content`);
      default:
        throw malformed(`${path}.role`, 'user, assistant or system');
    }
  });
}

export function systemMessages(content: unknown, path: string): JsonObject[] {
  if (Array.isArray(content)) {
    const other = content.findIndex((block) => objectOf(block)['type'] !== 'text');
    if (other !== -1) throw inexpressible(`${path}[${other}].type`, 'a system prompt is text');
  }
  const parts = partsOf(content, path);
  return parts.length === 0 ? [] : [{ role: 'system', content: contentOf(parts) }];
}

/** Results of tools come first, as chat completions demand it, then what their user says. */
function userMessages(content: unknown, path: string): JsonObject[] {
  const results: JsonObject[] = [];
  const attachments: JsonObject[] = [];
  const parts: JsonObject[] = [];
  for (const [index, block] of blocksIn(content, path).entries()) {
    const blockPath = `${path}[${index}]`;
    if (block['type'] !== 'tool_result') {
      parts.push(...partsOfBlock(block, blockPath));
      continue;
    }
    const id = textOf(block['tool_use_id']);
    if (id === undefined) throw malformed(`${blockPath}.tool_use_id`, 'the id of a tool_use block');
    const output = toolOutput(id, resultParts(block, blockPath), block['is_error'] === true);
    results.push(output.message);
    attachments.push(...output.attachments);
  }
  const said = [...attachments, ...parts];
  return said.length === 0 && results.length > 0 ? results : [...results, { role: 'user', content: contentOf(said) }];
}

/** A mark for prompt caching may stand on the result or in it. */
function resultParts(block: JsonObject, path: string): JsonObject[] {
  const parts = partsOf(block['content'], `${path}.content`);
  const mark = block['cache_control'];
  const last = parts.at(-1);
  if (!isObject(mark)) return parts;
  return last === undefined
    ? [{ type: 'text', text: '', cache_control: mark }]
    : [...parts.slice(0, -1), { ...last, cache_control: mark }];
}

function assistantMessage(content: unknown, path: string, { dropParams }: DialectOptions): JsonObject {
  const parts: JsonObject[] = [];
  const thinking: JsonObject[] = [];
  const calls: JsonObject[] = [];
  for (const [index, block] of blocksIn(content, path).entries()) {
    switch (block['type']) {
      case 'thinking':
      case 'redacted_thinking':
        thinking.push(block);
        break;
      case 'tool_use':
        calls.push(toolCall(block, `${path}[${index}]`));
        break;
      case 'text':
        parts.push(...partsOfBlock(block, `${path}[${index}]`));
        break;
      default:
        if (dropParams && isHosted(block)) break;
        throw inexpressible(
          `${path}[${index}].type`,
          `an assistant message cannot carry a ${String(block['type'])} block`,
        );
    }
  }
  const reasoning = thinking.map((block) => textOf(block['thinking']) ?? '').join('');
  // Unsigned reasoning came from a provider without signatures; one that signs would refuse it.
  const provable = thinking.filter((block) => block['type'] !== 'thinking' || textOf(block['signature']) !== undefined);
  return {
    role: 'assistant',
    content: parts.length > 0 ? assistantContent(parts) : calls.length > 0 ? null : '',
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(provable.length === 0 ? {} : { thinking_blocks: provable }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

/** What a tool at Anthropic did; the model's own words about it stand in its text. */
const isHosted = ({ type }: JsonObject): boolean =>
  typeof type === 'string' && (/^(server|mcp)_tool_use$/.test(type) || /.+_tool_result$/.test(type));

/** Text blocks of an answer are one text, cut; they are joined unless one carries a mark for caching. */
const assistantContent = (parts: readonly JsonObject[]): unknown =>
  parts.every((part) => Object.keys(part).length === 2) ? parts.map((part) => String(part['text'])).join('') : parts;

function toolCall(block: JsonObject, path: string): JsonObject {
  const { id, name } = block;
  if (typeof id !== 'string' || typeof name !== 'string') throw malformed(path, 'a tool_use block with id and name');
  return {
    id,
    type: 'function',
    function: { name, arguments: JSON.stringify(objectOf(block['input'])) },
    ...(isObject(block['cache_control']) ? { cache_control: block['cache_control'] } : {}),
  };
}

function blocksIn(content: unknown, path: string): JsonObject[] {
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  if (!Array.isArray(content)) throw malformed(path, 'text or a list of content blocks');
  return content.map((block, index) => {
    if (!isObject(block)) throw malformed(`${path}[${index}]`, 'a content block');
    return block;
  });
}
