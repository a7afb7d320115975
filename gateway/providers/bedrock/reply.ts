/** A whole answer of Converse as a `chat.completion`. https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { UpstreamResponse, WholeReply } from '../adapter.ts';
import { type CompletionThinking, printCompletion } from '../chat/completion.ts';
import { toUsage } from '../chat/usage.ts';
import { isObject, objectOf, objectsOf, parseJson, textOf } from '../json.ts';
import { brokenStream } from '../vendor-error.ts';
import { statedError } from './errors.ts';
import { toFinishReason } from './finish-reason.ts';
import { readUsage } from './usage.ts';

/** @throws UpstreamError when this is no answer. */
export function toReply(response: UpstreamResponse, request: ModelRequest, deployment: Deployment): WholeReply {
  const body = objectOf(parseJson(response.body.toString()));
  const message = objectOf(objectOf(body['output'])['message']);
  if (!Array.isArray(message['content'])) {
    throw statedError(response, deployment) ?? brokenStream('the answer is none of Converse', deployment);
  }
  const blocks = objectsOf(message['content']);
  const usage = readUsage(body['usage']);
  const completion = printCompletion(
    {
      // Converse names no answer; the request's id is in the answer's header only.
      id: `chatcmpl-${request.id}`,
      model: deployment.model,
      choices: [
        {
          text: blocks.map(readText).join(''),
          thinking: blocks.flatMap(readThinking),
          calls: blocks.flatMap(readCall),
          finishReason: toFinishReason(body['stopReason']),
        },
      ],
      usage,
    },
    request,
  );
  return { body: completion, usage: usage === undefined ? undefined : toUsage(usage) };
}

function readText(block: JsonObject): string {
  const cited = objectsOf(objectOf(block['citationsContent'])['content']);
  return (textOf(block['text']) ?? '') + cited.map((piece) => textOf(piece['text']) ?? '').join('');
}

function readThinking(block: JsonObject): CompletionThinking[] {
  const content = objectOf(block['reasoningContent']);
  const redacted = textOf(content['redactedContent']);
  if (redacted !== undefined) return [{ type: 'redacted_thinking', data: redacted }];
  if (!isObject(content['reasoningText'])) return [];
  const signature = textOf(content['reasoningText']['signature']);
  const thinking = textOf(content['reasoningText']['text']) ?? '';
  return [{ type: 'thinking', thinking, ...(signature === undefined ? {} : { signature }) }];
}

function readCall(block: JsonObject) {
  const { toolUse } = block;
  // Calls of Bedrock's own tools were answered there and are not the client's to answer.
  if (!isObject(toolUse) || toolUse['type'] === 'server_tool_use') return [];
  return [
    {
      id: textOf(toolUse['toolUseId']) ?? '',
      name: textOf(toolUse['name']) ?? '',
      arguments: JSON.stringify(toolUse['input'] ?? {}),
    },
  ];
}
