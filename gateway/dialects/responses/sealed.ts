/**
 * What proves reasoning to its provider, in the one opaque field that the Responses API has for it:
 * `encrypted_content` of a reasoning item. Clients hand it back as it is. It is packed, not encrypted: nothing in it is
 * secret from the client that asked.
 */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, parseJson, textOf } from '../canonical/json.ts';

const mark = 'holdfast.1.';

/** Either the signature of readable reasoning or reasoning that only its provider reads. */
export type Proof = { readonly signature: string } | { readonly data: string };

export const seal = (proof: Proof): string => mark + Buffer.from(JSON.stringify(proof)).toString('base64url');

/** @returns undefined for what was not sealed here. */
export function unseal(sealed: string): Proof | undefined {
  if (!sealed.startsWith(mark)) return undefined;
  const proof = parseJson(Buffer.from(sealed.slice(mark.length), 'base64url').toString());
  if (!isObject(proof)) return undefined;
  const signature = textOf(proof['signature']);
  const data = textOf(proof['data']);
  return signature !== undefined ? { signature } : data !== undefined ? { data } : undefined;
}

/** LiteLLM's thinking block for a proof and the text it belongs to. */
export const thinkingBlock = (proof: Proof, thinking: string): JsonObject =>
  'signature' in proof
    ? { type: 'thinking', thinking, signature: proof.signature }
    : { type: 'redacted_thinking', data: proof.data };
