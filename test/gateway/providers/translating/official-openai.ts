/** The official client in front of what an adapter wrote: its parser is the judge of the output. */
import OpenAI from 'openai';
import { serveHttp } from '../upstream-server.ts';

/** A client whose next answer is this one. Ends with the test. */
export async function openAIClientFor(contentType: string, body: Buffer | string): Promise<OpenAI> {
  const server = await serveHttp((request, response) => {
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { 'content-type': contentType });
      response.end(body);
    });
  });
  return new OpenAI({ baseURL: `${server.origin}/v1`, apiKey: 'sk-test', maxRetries: 0 });
}

const question = { model: 'chat', messages: [{ role: 'user' as const, content: 'Hello!' }] };

export async function parsedReply(body: Buffer): Promise<OpenAI.ChatCompletion> {
  const client = await openAIClientFor('application/json', body);
  return client.chat.completions.create(question);
}

/** The answer that the client puts together from the chunks of a stream. */
export async function parsedStream(text: string): Promise<OpenAI.ChatCompletion> {
  const client = await openAIClientFor('text/event-stream', text);
  return client.chat.completions.stream({ ...question, stream_options: { include_usage: true } }).finalChatCompletion();
}
