/**
 * The conversation in Gemini's words: the assistant is the model, and results of functions belong to the user.
 * https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling
 */
import type { JsonObject } from '../../domain/request.ts';
import type {
  AssistantTurn,
  FilePart,
  ImagePart,
  MediaSource,
  Part as PromptPart,
  ToolTurn,
  Turn,
} from '../chat/prompt.ts';
import { inexpressible, malformed } from '../chat/refuse.ts';
import { isObject, parseJson } from '../json.ts';
import { signatureOf, withoutSignature } from './call-id.ts';
import type { GeminiTraits } from './model-name.ts';
import type { Content, Part } from './wire.ts';

export function toContents(turns: readonly Turn[], traits: GeminiTraits): Content[] {
  const contents: { role: Content['role']; parts: Part[] }[] = [];
  for (const turn of turns) {
    const role = turn.role === 'assistant' ? 'model' : 'user';
    const parts = toParts(turn, traits);
    // A content without parts is an error there and nothing here.
    if (parts.length === 0) continue;
    const last = contents.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else contents.push({ role, parts });
  }
  return contents;
}

function toParts(turn: Turn, traits: GeminiTraits): Part[] {
  switch (turn.role) {
    case 'user':
      return turn.parts.flatMap(toPart);
    case 'tool':
      return [toFunctionResponse(turn, traits)];
    case 'assistant':
      return [...turn.parts.flatMap(toPart), ...toFunctionCalls(turn, traits)];
  }
}

/** Said by Google for calls that another model made: the thought behind them is nowhere. */
const unsigned = 'skip_thought_signature_validator';

function toFunctionCalls(turn: AssistantTurn, traits: GeminiTraits): Part[] {
  return turn.calls.map((call, index) => {
    // Of calls that were made at once only the first is signed.
    const signature = signatureOf(call) ?? (index === 0 && traits.signsCalls ? unsigned : undefined);
    return {
      functionCall: { ...idOf(call.id, traits), name: call.name, args: call.input },
      ...(signature === undefined ? {} : { thoughtSignature: signature }),
    };
  });
}

const idOf = (id: string, traits: GeminiTraits): { id?: string } =>
  traits.signsCalls ? { id: withoutSignature(id) } : {};

function toFunctionResponse(turn: ToolTurn, traits: GeminiTraits): Part {
  if (turn.name === undefined) throw malformed(`${turn.at}.tool_call_id`, 'the id of a call that was made before');
  const media = turn.parts.filter((part) => part.is !== 'text').flatMap(toPart);
  return {
    functionResponse: {
      ...idOf(turn.callId, traits),
      name: turn.name,
      response: toResponse(turn),
      ...(media.length === 0 ? {} : { parts: media }),
    },
  };
}

/** A response is an object; what is none becomes the one under `output`, as the API has it. */
function toResponse(turn: ToolTurn): JsonObject {
  const text = turn.parts.map((part) => (part.is === 'text' ? part.text : '')).join('');
  const parsed = parseJson(text);
  return isObject(parsed) ? parsed : { output: text };
}

function toPart(part: PromptPart): Part[] {
  switch (part.is) {
    case 'text':
      return part.text === '' ? [] : [{ text: part.text }];
    case 'image':
    case 'file':
      return [toMedia(part)];
    case 'audio':
      return [{ inlineData: { mimeType: `audio/${part.format}`, data: part.base64 } }];
    case 'foreign':
      throw inexpressible(part.at, 'gemini', `it has no parts of type ${part.type}`);
  }
}

/** https://ai.google.dev/gemini-api/docs/file-input-methods */
function toMedia({ source }: ImagePart | FilePart): Part {
  switch (source.is) {
    case 'data':
      return { inlineData: { mimeType: source.mediaType, data: source.base64 } };
    case 'id':
      return { fileData: { fileUri: source.id } };
    case 'url': {
      const mimeType = mimeTypeOf(source);
      return { fileData: { fileUri: source.url, ...(mimeType === undefined ? {} : { mimeType }) } };
    }
  }
}

const mimeTypes: Readonly<Record<string, string>> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  gif: 'image/gif',
  heic: 'image/heic',
  pdf: 'application/pdf',
  txt: 'text/plain',
  csv: 'text/csv',
  html: 'text/html',
  md: 'text/markdown',
  json: 'application/json',
  mp3: 'audio/mp3',
  wav: 'audio/wav',
  mp4: 'video/mp4',
  webm: 'video/webm',
};

function mimeTypeOf(source: MediaSource & { is: 'url' }): string | undefined {
  const ending = /\.([a-z0-9]+)(?:[?#]|$)/i.exec(source.url.replace(/^[a-z0-9]+:\/\/[^/]*/i, ''))?.[1];
  return ending === undefined ? undefined : mimeTypes[ending.toLowerCase()];
}
