/** Anthropic's Messages API, `/v1/messages`. https://platform.claude.com/docs/en/api/messages */
import { AnswerStream } from '../canonical/answer-stream.ts';
import type { Dialect } from '../dialect.ts';
import { errorBody } from './error.ts';
import { fromReply } from './reply.ts';
import { toChat } from './request.ts';
import { MessagesWriter } from './stream.ts';

export const messagesDialect: Dialect = {
  api: 'messages',
  toChat,
  fromReply,
  encoder: () => new AnswerStream(new MessagesWriter()),
  fromError: (status, envelope) => Buffer.from(JSON.stringify(errorBody(status, envelope))),
};
