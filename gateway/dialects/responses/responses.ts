/** OpenAI's Responses API, `/v1/responses`, without its memory. https://platform.openai.com/docs/api-reference/responses */
import { AnswerStream } from '../canonical/answer-stream.ts';
import type { Dialect } from '../dialect.ts';
import { fromReply } from './reply.ts';
import { toChat } from './request.ts';
import { ResponsesWriter } from './stream.ts';

export const responsesDialect: Dialect = {
  api: 'responses',
  toChat,
  fromReply,
  encoder: (request) => new AnswerStream(new ResponsesWriter(request)),
  // The error format of OpenAI's APIs is the gateway's own.
  fromError: (_, error) => Buffer.from(JSON.stringify({ error })),
};
