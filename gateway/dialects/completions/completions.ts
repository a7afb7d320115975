/** OpenAI's legacy completions, `/v1/completions`. https://platform.openai.com/docs/api-reference/completions */
import type { Dialect } from '../dialect.ts';
import { fromReply } from './reply.ts';
import { toChat } from './request.ts';
import { CompletionsEncoder } from './stream.ts';

export const completionsDialect: Dialect = {
  api: 'completions',
  toChat,
  fromReply,
  encoder: () => new CompletionsEncoder(),
  // The error format of OpenAI's APIs is the gateway's own.
  fromError: (_, error) => Buffer.from(JSON.stringify({ error })),
};
