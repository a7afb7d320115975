/**
 * Reasoning in a conversation that was partly answered by another provider: its proof (a signature, an encrypted form)
 * means nothing to this one, which would refuse the whole request. Such reasoning is left out; it never is the answer.
 */
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import { isObject, objectsOf } from '../json.ts';

/** Reasoning that was translated from a provider without signatures. */
const unsigned = Buffer.from('"signature":""');
/** How the gateway packs what another provider proves its reasoning with. */
const foreignSeal = 'holdfast.1.';
const foreignMark = Buffer.from(`"${foreignSeal}`);

/** A Messages request whose thinking blocks all have a signature. The request itself when there is nothing to do. */
export function provable(request: ModelRequest): ModelRequest {
  if (!request.bytes.includes(unsigned)) return request;
  const messages = objectsOf(request.body['messages']).map((message) => {
    const { content } = message;
    if (message['role'] !== 'assistant' || !Array.isArray(content)) return message;
    const kept = content.filter((block) => !(isObject(block) && isUnsigned(block)));
    return { ...message, content: kept };
  });
  return printed({
    request,
    // A turn that was nothing but such reasoning is none.
    body: {
      ...request.body,
      messages: messages.filter(({ content }) => !Array.isArray(content) || content.length > 0),
    },
  });
}

const isUnsigned = (block: JsonObject): boolean => block['type'] === 'thinking' && block['signature'] === '';

/** A Responses request without reasoning items that another provider made. */
export function decipherable(request: ModelRequest): ModelRequest {
  const { input } = request.body;
  if (!request.bytes.includes(foreignMark) || !Array.isArray(input)) return request;
  const kept: unknown[] = input.filter((item) => !(isObject(item) && isForeign(item)));
  return printed({ request, body: { ...request.body, input: kept } });
}

function isForeign(item: JsonObject): boolean {
  const sealed = item['encrypted_content'];
  return item['type'] === 'reasoning' && typeof sealed === 'string' && sealed.startsWith(foreignSeal);
}

const printed = ({ request, body }: { request: ModelRequest; body: JsonObject }): ModelRequest => ({
  ...request,
  body,
  bytes: Buffer.from(JSON.stringify(body)),
});
