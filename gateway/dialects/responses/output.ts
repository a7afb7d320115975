/** Blocks of an answer as output items. https://platform.openai.com/docs/api-reference/responses/object#responses-object-output */
import type { JsonObject } from '../../domain/request.ts';
import type { Block } from '../canonical/block.ts';
import { isObject } from '../canonical/json.ts';
import { seal } from './sealed.ts';

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

/** The official client wants ids that differ within a Response. */
export function itemId(block: Block, index: number, answerId: string): string {
  const prefix = block.is === 'tool' ? 'fc' : block.is === 'thinking' || block.is === 'redacted' ? 'rs' : 'msg';
  return `${prefix}_${answerId}_${index}`;
}

export function outputItem(block: Block, index: number, answerId: string, status: ItemStatus): JsonObject {
  const id = itemId(block, index, answerId);
  switch (block.is) {
    // What a provider shows of its reasoning goes where clients look for it: into the summary.
    case 'thinking':
      return {
        id,
        type: 'reasoning',
        summary: block.text === '' ? [] : [summaryPart(block.text)],
        encrypted_content: block.signature === '' ? null : seal({ signature: block.signature }),
        status,
      };
    case 'redacted':
      return { id, type: 'reasoning', summary: [], encrypted_content: seal({ data: block.data }), status };
    case 'text':
    case 'refusal':
      return { id, type: 'message', role: 'assistant', status, content: [contentPart(block)] };
    case 'tool':
      return {
        id,
        type: 'function_call',
        status,
        call_id: block.id,
        name: block.name,
        arguments: status === 'in_progress' ? block.arguments : argumentsOf(block),
      };
  }
}

/** Clients parse the arguments also of a call without any. */
export const argumentsOf = (block: Extract<Block, { is: 'tool' }>): string =>
  block.arguments.trim() === '' ? '{}' : block.arguments;

export const summaryPart = (text: string): JsonObject => ({ type: 'summary_text', text });

export function contentPart(block: Extract<Block, { is: 'text' | 'refusal' }>): JsonObject {
  if (block.is === 'refusal') return { type: 'refusal', refusal: block.text };
  const annotations = block.annotations.filter(isObject).map(annotation);
  return { type: 'output_text', text: block.text, annotations, logprobs: block.logprobs };
}

/** Chat completions nest what the Responses API writes flat. */
function annotation(note: JsonObject): JsonObject {
  const { url_citation: citation } = note;
  return isObject(citation) ? { type: 'url_citation', ...citation } : note;
}
