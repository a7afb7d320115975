/**
 * The conversation in Anthropic's words: results of tools belong to the user, and neighbours of one role are one message.
 * https://platform.claude.com/docs/en/build-with-claude/working-with-messages
 */
import type { JsonObject } from '../../domain/request.ts';
import { acceptableCallId } from '../chat/call-ids.ts';
import type { FilePart, ImagePart, Part, TextPart, ThinkingBlock, ToolTurn, Turn } from '../chat/prompt.ts';
import { inexpressible } from '../chat/refuse.ts';
import type {
  ContentBlock,
  Message,
  Source,
  TextBlock,
  ToolResultBlock,
  ThinkingBlock as WireThinking,
} from './wire.ts';

const longestCallId = 128;

export function toMessages(turns: readonly Turn[]): Message[] {
  const messages: { role: Message['role']; content: ContentBlock[] }[] = [];
  for (const [index, turn] of turns.entries()) {
    const role = turn.role === 'assistant' ? 'assistant' : 'user';
    const content = toBlocks(turn, index === turns.length - 1);
    // Empty text is an error there and nothing here.
    if (content.length === 0) continue;
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...content);
    else messages.push({ role, content });
  }
  return messages;
}

function toBlocks(turn: Turn, isLast: boolean): ContentBlock[] {
  switch (turn.role) {
    case 'user':
      return turn.parts.flatMap(toPartBlocks);
    case 'tool':
      return [toResult(turn)];
    case 'assistant': {
      const text = toTextBlocks(turn.parts);
      return [
        ...turn.thinking.map(toThinking),
        // An answer that is to be continued must not end with white space.
        ...(isLast && turn.calls.length === 0 ? withoutTrailingSpace(text) : text),
        ...turn.calls.map((call) => ({
          type: 'tool_use' as const,
          id: acceptableCallId(call.id, longestCallId),
          name: call.name,
          input: call.input,
          ...cached(call.cacheControl),
        })),
      ];
    }
  }
}

export const toTextBlocks = (parts: readonly TextPart[]): TextBlock[] =>
  parts
    .filter((part) => part.text.trim() !== '')
    .map((part) => ({ type: 'text', text: part.text, ...cached(part.cacheControl) }));

const cached = (cacheControl: JsonObject | undefined): { cache_control?: JsonObject } =>
  cacheControl === undefined ? {} : { cache_control: cacheControl };

function withoutTrailingSpace(blocks: TextBlock[]): TextBlock[] {
  const last = blocks.at(-1);
  return last === undefined ? blocks : [...blocks.slice(0, -1), { ...last, text: last.text.trimEnd() }];
}

const toThinking = (block: ThinkingBlock): WireThinking =>
  block.is === 'redacted'
    ? { type: 'redacted_thinking', data: block.data }
    : { type: 'thinking', thinking: block.text, signature: block.signature };

function toResult(turn: ToolTurn): ToolResultBlock {
  const content = turn.parts.flatMap(toPartBlocks);
  return {
    type: 'tool_result',
    tool_use_id: acceptableCallId(turn.callId, longestCallId),
    ...(content.length === 0 ? {} : { content }),
    ...cached(turn.cacheControl),
  };
}

function toPartBlocks(part: Part): ContentBlock[] {
  switch (part.is) {
    case 'text':
      return toTextBlocks([part]);
    case 'image':
      // LiteLLM's clients send documents as images too.
      return [
        part.source.is === 'data' && !part.source.mediaType.startsWith('image/') ? toDocument(part) : toImage(part),
      ];
    case 'file':
      return [
        part.source.is === 'data' && part.source.mediaType.startsWith('image/') ? toImage(part) : toDocument(part),
      ];
    case 'audio':
      throw inexpressible(part.at, 'anthropic', 'it has no audio input');
    case 'foreign':
      // Perhaps a block of Anthropic's own, such as search_result; it says so itself if not.
      return [part.part];
  }
}

const toImage = (part: ImagePart | FilePart): ContentBlock => ({
  type: 'image',
  source: toSource(part),
  ...cached(part.cacheControl),
});

/** https://platform.claude.com/docs/en/build-with-claude/pdf-support */
const toDocument = (part: ImagePart | FilePart): ContentBlock => ({
  type: 'document',
  source: toSource(part),
  ...(part.is === 'file' && part.fileName !== undefined ? { title: part.fileName } : {}),
  ...cached(part.cacheControl),
});

function toSource(part: ImagePart | FilePart): Source {
  const { source } = part;
  switch (source.is) {
    case 'id':
      return { type: 'file', file_id: source.id };
    case 'url':
      if (!/^https?:/i.test(source.url))
        throw inexpressible(part.at, 'anthropic', 'it loads from https addresses only');
      return { type: 'url', url: source.url };
    case 'data':
      if (source.mediaType === 'text/plain') {
        return { type: 'text', media_type: 'text/plain', data: Buffer.from(source.base64, 'base64').toString() };
      }
      if (source.mediaType !== 'application/pdf' && !source.mediaType.startsWith('image/')) {
        throw inexpressible(part.at, 'anthropic', `it has no input of type ${source.mediaType}`);
      }
      return { type: 'base64', media_type: source.mediaType, data: source.base64 };
  }
}
