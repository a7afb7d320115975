/** A whole answer of the Messages API as a `chat.completion`. https://platform.claude.com/docs/en/api/messages#response */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamResponse, WholeReply } from '../adapter.ts';
import { type CompletionThinking, printCompletion } from '../chat/completion.ts';
import { toUsage } from '../chat/usage.ts';
import { objectOf, objectsOf, parseJson, textOf } from '../json.ts';
import { brokenStream } from '../vendor-error.ts';
import { fromStream } from './errors.ts';
import { toFinishReason } from './finish-reason.ts';
import { readUsage } from './usage.ts';

/** @throws UpstreamError when this is no answer. */
export function toReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply {
  const message = objectOf(parseJson(response.body.toString()));
  if (message['type'] === 'error') throw fromStream(message['error'], deployment);
  if (!Array.isArray(message['content']))
    throw brokenStream('the answer is no message of the Messages API', deployment);
  const blocks = objectsOf(message['content']);
  const usage = readUsage(message['usage']);
  const body = printCompletion(
    {
      id: textOf(message['id']) ?? `chatcmpl-${request.id}`,
      model: textOf(message['model']) ?? deployment.model,
      choices: [
        {
          text: blocks.map((block) => (block['type'] === 'text' ? (textOf(block['text']) ?? '') : '')).join(''),
          thinking: blocks.flatMap(readThinking),
          calls: blocks.flatMap(readCall),
          refusal: textOf(objectOf(message['stop_details'])['explanation']),
          finishReason: toFinishReason(message['stop_reason']),
          stopSequence: textOf(message['stop_sequence']),
        },
      ],
      usage,
    },
    request,
  );
  return { body, usage: usage === undefined ? undefined : toUsage(usage) };
}

function readThinking(block: JsonObject): CompletionThinking[] {
  if (block['type'] === 'redacted_thinking') return [{ type: 'redacted_thinking', data: textOf(block['data']) ?? '' }];
  if (block['type'] !== 'thinking') return [];
  const signature = textOf(block['signature']);
  const thinking = textOf(block['thinking']) ?? '';
  return [{ type: 'thinking', thinking, ...(signature === undefined ? {} : { signature }) }];
}

/** Calls of the provider's own tools (`server_tool_use`) were answered there and are not the client's to answer. */
const readCall = (block: JsonObject) =>
  block['type'] === 'tool_use'
    ? [
        {
          id: textOf(block['id']) ?? '',
          name: textOf(block['name']) ?? '',
          arguments: JSON.stringify(block['input'] ?? {}),
        },
      ]
    : [];
