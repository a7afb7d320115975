/**
 * The conversation in Converse's words: user and assistant alternate, and results of tools belong to the user.
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
 */
import type { JsonObject } from '../../domain/request.ts';
import { acceptableCallId } from '../chat/call-ids.ts';
import type { Part, TextPart, ToolTurn, Turn } from '../chat/prompt.ts';
import { inexpressible } from '../chat/refuse.ts';
import { textOf } from '../json.ts';
import { MediaBlocks } from './media.ts';
import type { CachePoint, ContentBlock, Message } from './wire.ts';

const longestCallId = 64;

export function toMessages(turns: readonly Turn[]): Message[] {
  const media = new MediaBlocks();
  const messages: { role: Message['role']; content: ContentBlock[] }[] = [];
  for (const [index, turn] of turns.entries()) {
    const role = turn.role === 'assistant' ? 'assistant' : 'user';
    const content = toBlocks(turn, index === turns.length - 1, media);
    // Empty text is an error there and nothing here.
    if (content.length === 0) continue;
    const last = messages.at(-1);
    if (last?.role === role) last.content.push(...content);
    else messages.push({ role, content });
  }
  return messages;
}

function toBlocks(turn: Turn, isLast: boolean, media: MediaBlocks): ContentBlock[] {
  switch (turn.role) {
    case 'user':
      return turn.parts.flatMap((part) => toPartBlocks(part, media));
    case 'tool':
      return toResult(turn, media);
    case 'assistant':
      return [
        ...turn.thinking.map(
          (block): ContentBlock => ({
            reasoningContent:
              block.is === 'redacted'
                ? { redactedContent: block.data }
                : { reasoningText: { text: block.text, signature: block.signature } },
          }),
        ),
        // An answer that is to be continued must not end with white space.
        ...toTextBlocks(isLast && turn.calls.length === 0 ? withoutTrailingSpace(turn.parts) : turn.parts),
        ...turn.calls.flatMap((call) => [
          { toolUse: { toolUseId: acceptableCallId(call.id, longestCallId), name: call.name, input: call.input } },
          ...cachePoint(call.cacheControl),
        ]),
      ];
  }
}

function withoutTrailingSpace(parts: readonly TextPart[]): TextPart[] {
  const last = parts.at(-1);
  return last === undefined ? [] : [...parts.slice(0, -1), { ...last, text: last.text.trimEnd() }];
}

export const toTextBlocks = (parts: readonly TextPart[]): ({ readonly text: string } | CachePoint)[] =>
  parts
    .filter((part) => part.text.trim() !== '')
    .flatMap((part) => [{ text: part.text }, ...cachePoint(part.cacheControl)]);

/** Anthropic marks the last part to be cached; here the mark is a block of its own. */
export function cachePoint(cacheControl: JsonObject | undefined): CachePoint[] {
  if (cacheControl === undefined) return [];
  const ttl = textOf(cacheControl['ttl']);
  return [{ cachePoint: { type: 'default', ...(ttl === undefined ? {} : { ttl }) } }];
}

/** A cache point cannot stand inside of a result, so it follows it. */
function toResult(turn: ToolTurn, media: MediaBlocks): ContentBlock[] {
  const blocks = turn.parts.flatMap((part) => toPartBlocks(part, media));
  const inner = blocks.find((block) => 'cachePoint' in block);
  return [
    {
      toolResult: {
        toolUseId: acceptableCallId(turn.callId, longestCallId),
        content: blocks.filter((block) => !('cachePoint' in block)),
      },
    },
    ...(inner === undefined ? cachePoint(turn.cacheControl) : [inner]),
  ];
}

function toPartBlocks(part: Part, media: MediaBlocks): ContentBlock[] {
  switch (part.is) {
    case 'text':
      return toTextBlocks([part]);
    case 'image':
    case 'file':
      return [media.block(part), ...cachePoint(part.cacheControl)];
    case 'audio':
      throw inexpressible(part.at, 'bedrock', 'Converse takes no audio from this gateway');
    case 'foreign':
      throw inexpressible(part.at, 'bedrock', `it has no parts of type ${part.type}`);
  }
}
