/**
 * Input items as canonical messages. What one answer of a model was, chat completions want as one message: reasoning,
 * text and calls that follow each other are put together again.
 * https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
 */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectsOf, textOf } from '../canonical/json.ts';
import { inexpressible, malformed } from '../canonical/refuse.ts';
import { toolOutput } from '../canonical/tool-output.ts';
import type { DialectOptions } from '../dialect.ts';
import { contentOf, partsOf } from './content.ts';
import { thinkingBlock, unseal } from './sealed.ts';

export function messagesOf(input: unknown, options: DialectOptions): JsonObject[] {
  if (typeof input === 'string' && input !== '') return [{ role: 'user', content: input }];
  if (!Array.isArray(input) || input.length === 0) throw malformed('input', 'text or a list of items, and not empty');
  const conversation = new Conversation();
  for (const [index, item] of input.entries()) {
    if (!isObject(item)) throw malformed(`input[${index}]`, 'an item');
    if (options.dropParams && isHosted(item)) continue;
    conversation.add(item, `input[${index}]`);
  }
  return conversation.messages();
}

/** What a tool at OpenAI did; the model's own words about it stand in its messages. */
const isHosted = ({ type }: JsonObject): boolean =>
  typeof type === 'string' && /_(call|call_output|list_tools|approval_request|approval_response)$/.test(type)
    ? type !== 'function_call' && type !== 'function_call_output'
    : false;

/** An answer of the model that is being put together. */
interface Draft {
  readonly parts: JsonObject[];
  readonly reasoning: string[];
  readonly proven: JsonObject[];
  readonly calls: JsonObject[];
}

class Conversation {
  readonly #messages: JsonObject[] = [];
  #answer: Draft | undefined;
  /** What results carried beside text; it follows after the last result of the turn. */
  #attachments: JsonObject[] = [];

  add(item: JsonObject, path: string): void {
    const type = item['type'] ?? 'message';
    switch (type) {
      case 'message':
        this.#addMessage(item, path);
        break;
      case 'reasoning':
        this.#addReasoning(item);
        break;
      case 'function_call':
        this.#open().calls.push(toolCall(item, path));
        break;
      case 'function_call_output':
        this.#addOutput(item, path);
        break;
      case 'item_reference':
        throw inexpressible(`${path}.type`, 'the gateway keeps no items; send the item itself');
      default:
        throw inexpressible(`${path}.type`, `chat completions know no ${JSON.stringify(type)} item`);
    }
  }

  messages(): JsonObject[] {
    this.#closeAnswer();
    this.#closeOutputs();
    return this.#messages;
  }

  #addMessage(item: JsonObject, path: string): void {
    const parts = partsOf(item['content'], `${path}.content`);
    switch (item['role']) {
      case 'assistant':
        this.#open().parts.push(...joined(parts));
        break;
      case 'user':
        this.#say({ role: 'user', content: contentOf(parts) });
        break;
      // `developer` is OpenAI's newer word for `system`, which every provider knows.
      case 'developer':
      case 'system':
        this.#say({ role: 'system', content: contentOf(parts) });
        break;
      default:
        throw malformed(`${path}.role`, 'user, assistant, system or developer');
    }
  }

  #addReasoning(item: JsonObject): void {
    // The reasoning itself where it is given, else its summary.
    const content = objectsOf(item['content']);
    const texts = content.length > 0 ? content : objectsOf(item['summary']);
    const text = texts.map((part) => textOf(part['text']) ?? '').join('\n\n');
    const sealed = textOf(item['encrypted_content']);
    // What OpenAI encrypted only OpenAI reads; a fallback must be able to go on without it.
    const proof = sealed === undefined ? undefined : unseal(sealed);
    if (text === '' && proof === undefined) return;
    const answer = this.#open();
    if (text !== '') answer.reasoning.push(text);
    if (proof !== undefined) answer.proven.push(thinkingBlock(proof, text));
  }

  #addOutput(item: JsonObject, path: string): void {
    const id = textOf(item['call_id']);
    if (id === undefined) throw malformed(`${path}.call_id`, 'the id of a function call');
    const output = toolOutput(id, partsOf(item['output'], `${path}.output`));
    this.#closeAnswer();
    this.#messages.push(output.message);
    this.#attachments.push(...output.attachments);
  }

  #say(message: JsonObject): void {
    this.#closeAnswer();
    this.#closeOutputs();
    this.#messages.push(message);
  }

  /** One answer goes on until somebody else says something: its calls must stand together before their results. */
  #open(): Draft {
    this.#closeOutputs();
    this.#answer ??= { parts: [], reasoning: [], proven: [], calls: [] };
    return this.#answer;
  }

  #closeAnswer(): void {
    const answer = this.#answer;
    if (answer === undefined) return;
    this.#answer = undefined;
    const text = answer.parts.every((part) => part['type'] === 'text');
    const content = text ? answer.parts.map((part) => String(part['text'])).join('\n\n') : answer.parts;
    this.#messages.push({
      role: 'assistant',
      content: answer.parts.length === 0 && answer.calls.length > 0 ? null : content,
      ...(answer.reasoning.length === 0 ? {} : { reasoning_content: answer.reasoning.join('\n\n') }),
      ...(answer.proven.length === 0 ? {} : { thinking_blocks: answer.proven }),
      ...(answer.calls.length === 0 ? {} : { tool_calls: answer.calls }),
    });
  }

  #closeOutputs(): void {
    if (this.#attachments.length > 0) this.#messages.push({ role: 'user', content: this.#attachments });
    this.#attachments = [];
  }
}

/** The texts of one message are one text, cut. */
const joined = (parts: JsonObject[]): JsonObject[] =>
  parts.length > 1 && parts.every((part) => part['type'] === 'text')
    ? [{ type: 'text', text: parts.map((part) => String(part['text'])).join('') }]
    : parts;

function toolCall(item: JsonObject, path: string): JsonObject {
  const { call_id: id, name, arguments: given } = item;
  if (typeof id !== 'string' || typeof name !== 'string' || typeof given !== 'string') {
    throw malformed(path, 'a function_call with call_id, name and arguments');
  }
  return { id, type: 'function', function: { name, arguments: given } };
}
