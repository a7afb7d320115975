/**
 * The signature of the thought behind a call has to come back with it, but most clients keep nothing of a call except
 * its id. So the signature travels inside of the id, as LiteLLM has it, besides standing in `provider_specific_fields`.
 * https://ai.google.dev/gemini-api/docs/thought-signatures
 */
import type { ToolCall } from '../chat/prompt.ts';
import { textOf } from '../json.ts';

const separator = '__thought__';

export const withSignature = (id: string, signature: string | undefined): string =>
  signature === undefined ? id : `${id}${separator}${signature}`;

export const withoutSignature = (id: string): string => id.split(separator, 1)[0] ?? id;

export function signatureOf(call: ToolCall): string | undefined {
  const at = call.id.indexOf(separator);
  return (
    textOf(call.providerFields['thought_signature']) ?? (at === -1 ? undefined : call.id.slice(at + separator.length))
  );
}
