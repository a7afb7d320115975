/** Clients of the Messages API at Anthropic. https://platform.claude.com/docs/en/api/messages */
import type { Deployment } from '../../domain/deployment.ts';
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import type { NativeAdapter } from '../adapter.ts';
import { fromStream } from '../anthropic/errors.ts';
import { apiVersion, messagesPath } from '../anthropic/request.ts';
import { readUsage } from '../anthropic/usage.ts';
import { toUsage } from '../chat/usage.ts';
import { isObject, objectOf, parseJson } from '../json.ts';
import { scanTopLevel } from '../json-bytes.ts';
import { brokenStream } from '../vendor-error.ts';
import { nativeBody } from './body.ts';
import { provable } from './proofs.ts';
import { type NativeRules, NativeStream, type Reading } from './stream.ts';

export const nativeMessages: NativeAdapter = {
  toUpstream(request: ModelRequest, deployment: Deployment) {
    return {
      origin: deployment.origin,
      path: messagesPath(deployment.basePath),
      headers: {
        'anthropic-version': apiVersion,
        ...request.spoken?.headers,
        ...deployment.headers,
        'content-type': 'application/json',
      },
      body: nativeBody(provable(request), deployment.model, userOnly),
    };
  },

  toReply(response, _request, deployment) {
    const { body } = response;
    const top = scanTopLevel(body, ['error', 'content', 'usage']);
    const error = top?.spans.get('error');
    if (error !== undefined) throw fromStream(parsed(body.subarray(error.start, error.end)), deployment);
    if (top?.spans.has('content') !== true)
      throw brokenStream('the answer is no message of the Messages API', deployment);
    const usage = top.spans.get('usage');
    const counts = usage === undefined ? undefined : readUsage(parsed(body.subarray(usage.start, usage.end)));
    return { body, usage: counts === undefined ? undefined : toUsage(counts) };
  },

  decoder: (_request, deployment) => new NativeStream(new MessageEvents(), deployment),

  /** https://platform.claude.com/docs/en/api/messages/count_tokens */
  countSuffix: '/count_tokens',
};

/** Anthropic takes nothing else in it. */
const userOnly = (metadata: JsonObject): JsonObject => ('user_id' in metadata ? { user_id: metadata['user_id'] } : {});

/** `message_start`, `_delta`, `_stop`, and errors. Text of an answer cannot look so: a quote in it is escaped. */
const marks = ['"message', '"error"'].map((mark) => Buffer.from(mark));

/** Token counts come in two events, the second of which repeats only what has changed. */
class MessageEvents implements NativeRules {
  #counts: ReturnType<typeof readUsage>;

  isRemarkable(block: Buffer): boolean {
    return marks.some((mark) => block.includes(mark));
  }

  read(_event: Buffer, data: Buffer, deployment: Deployment): Reading {
    if (data.length === 0) return { opening: true };
    const event = parsed(data);
    if (!isObject(event)) return { error: brokenStream('an event of the stream is not JSON', deployment) };
    switch (event['type']) {
      case 'message_start':
        return { opening: true, ...this.#usage(objectOf(event['message'])['usage']) };
      case 'ping':
        return { opening: true };
      case 'message_delta':
        return this.#usage(event['usage']);
      case 'message_stop':
        return { last: true };
      case 'error':
        return { error: fromStream(event['error'], deployment) };
      default:
        return {};
    }
  }

  #usage(value: unknown): Reading {
    this.#counts = readUsage(value, this.#counts);
    return this.#counts === undefined ? {} : { usage: toUsage(this.#counts) };
  }
}

const parsed = (bytes: Buffer): unknown => parseJson(bytes.toString());
