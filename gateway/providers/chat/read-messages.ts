/** The messages of a request. https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectOf, objectsOf, parseJson, textOf } from '../json.ts';
import type { AssistantTurn, Part, Prompt, TextPart, ThinkingBlock, ToolCall, ToolTurn, Turn } from './prompt.ts';
import { cacheControlOf, readParts, readTextParts } from './read-parts.ts';
import { malformed } from './refuse.ts';

/** @param messages a list of objects with roles: checked where the request was read. */
export function readMessages(messages: unknown): Pick<Prompt, 'system' | 'turns'> {
  const system: TextPart[] = [];
  const turns: Turn[] = [];
  const callNames = new Map<string, string>();
  for (const [index, message] of objectsOf(messages).entries()) {
    const at = `messages[${index}]`;
    const content = `${at}.content`;
    switch (message['role']) {
      case 'system':
      case 'developer':
        system.push(...marked(readTextParts(message['content'], content), message));
        break;
      case 'user':
        turns.push({ role: 'user', parts: marked(readParts(message['content'], content), message) });
        break;
      case 'assistant': {
        const turn = readAssistant(message, at);
        for (const call of turn.calls) callNames.set(call.id, call.name);
        turns.push(turn);
        break;
      }
      case 'tool':
        turns.push(readToolResult(message, at, callNames));
        break;
      default:
        throw malformed(`${at}.role`, 'system, developer, user, assistant or tool');
    }
  }
  if (turns.length > 0) return { system, turns };
  // Other providers want something to answer; OpenAI answers to instructions alone.
  return { system: [], turns: [{ role: 'user', parts: system }] };
}

/** LiteLLM lets `cache_control` stand on a message; it belongs to its last part. */
function marked<P extends Part>(parts: P[], message: JsonObject): P[] {
  const cacheControl = cacheControlOf(message);
  const last = parts.at(-1);
  if (cacheControl === undefined || last === undefined) return parts;
  return [...parts.slice(0, -1), { ...last, cacheControl }];
}

function readAssistant(message: JsonObject, at: string): AssistantTurn {
  const calls = message['tool_calls'];
  if (calls !== undefined && calls !== null && !Array.isArray(calls)) throw malformed(`${at}.tool_calls`, 'a list');
  const parts = readTextParts(message['content'], `${at}.content`);
  const refusal = textOf(message['refusal']);
  const said: TextPart[] = refusal === undefined ? [] : [{ is: 'text', text: refusal, cacheControl: undefined }];
  return {
    role: 'assistant',
    thinking: objectsOf(message['thinking_blocks']).flatMap(readThinking),
    parts: marked([...parts, ...said], message),
    calls: (calls ?? []).map((call: unknown, index: number) => readCall(call, `${at}.tool_calls[${index}]`)),
  };
}

function readThinking(block: JsonObject): ThinkingBlock[] {
  if (block['type'] === 'redacted_thinking') {
    const data = textOf(block['data']);
    return data === undefined ? [] : [{ is: 'redacted', data }];
  }
  const signature = textOf(block['signature']);
  // Without its signature no provider takes a thought back.
  return signature === undefined ? [] : [{ is: 'thinking', text: textOf(block['thinking']) ?? '', signature }];
}

function readCall(call: unknown, at: string): ToolCall {
  const described = objectOf(objectOf(call)['function']);
  const name = textOf(described['name']);
  if (!isObject(call) || name === undefined) throw malformed(`${at}.function.name`, 'the name of a function');
  const id = textOf(call['id']);
  if (id === undefined) throw malformed(`${at}.id`, 'the id of the call');
  const given = described['arguments'];
  const input = isObject(given) ? given : parseJson(textOf(given)?.trim() || '{}');
  if (!isObject(input)) throw malformed(`${at}.function.arguments`, 'a JSON object as text');
  return {
    id,
    name,
    input,
    cacheControl: cacheControlOf(call),
    providerFields: {
      ...objectOf(described['provider_specific_fields']),
      ...objectOf(call['provider_specific_fields']),
    },
  };
}

function readToolResult(message: JsonObject, at: string, callNames: ReadonlyMap<string, string>): ToolTurn {
  const callId = textOf(message['tool_call_id']);
  if (callId === undefined) throw malformed(`${at}.tool_call_id`, 'the id of a call');
  return {
    role: 'tool',
    callId,
    name: callNames.get(callId) ?? textOf(message['name']),
    parts: readParts(message['content'], `${at}.content`),
    cacheControl: cacheControlOf(message),
    at,
  };
}
