/** How long a prompt is, roughly: enough to tell that a context window is too small, too rough for money. */
import type { ModelRequest } from '../domain/request.ts';

/** English text has about four bytes a token; a better count is only worth its price where money depends on it. */
const bytesPerToken = 4;

export const estimatePromptTokens = (request: ModelRequest): number => tokensOfBytes(promptTextBytes(request));

export const tokensOfBytes = (textBytes: number): number => Math.ceil(textBytes / bytesPerToken);

/** Images, sound and files are priced by other rules than their length; text is counted, and only in chats. */
export function promptTextBytes({ operation, body, bytes }: ModelRequest): number {
  // A batch of embeddings is many prompts, and an upload is none.
  if (operation !== 'chat') return 0;
  // The Responses API calls them input.
  const messages: unknown = body['messages'] ?? body['input'];
  const media = Array.isArray(messages) ? messages.reduce<number>((sum, message) => sum + mediaOf(message), 0) : 0;
  return Math.max(1, bytes.length - media);
}

function mediaOf(message: unknown): number {
  const content = memberOf(message, 'content');
  if (!Array.isArray(content)) return 0;
  return content.reduce<number>(
    (sum, part) => sum + (isText(memberOf(part, 'type')) ? mediaOf(part) : lengthOfTexts(part, deepest)),
    0,
  );
}

/** Also what holds parts itself, such as the result of a tool, and calls and reasoning, which are text. */
const isText = (type: unknown): boolean =>
  typeof type === 'string' && /text$|^refusal$|thinking$|^tool_(use|result)$/.test(type);

/** A part is nested two or three levels deep; what a client nests deeper is counted as text. */
const deepest = 4;

function lengthOfTexts(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null || depth === 0) return 0;
  return Object.values(value).reduce<number>((sum, member) => sum + lengthOfTexts(member, depth - 1), 0);
}

const memberOf = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
