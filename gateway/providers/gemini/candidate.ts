/** The parts of a candidate, whole or as a piece of a stream. https://ai.google.dev/api/caching#Part */
import type { JsonObject } from '../../domain/request.ts';
import { isObject, objectOf, objectsOf, textOf } from '../json.ts';
import { withSignature } from './call-id.ts';

export type CandidatePart =
  | { readonly is: 'text'; readonly text: string }
  /** A summary of the reasoning. */
  | { readonly is: 'thought'; readonly text: string }
  | {
      readonly is: 'call';
      readonly id: string;
      readonly name: string;
      readonly arguments: string;
      readonly providerFields?: JsonObject;
    };

/** @param newId for calls of models that give them none. */
export function readCandidateParts(candidate: JsonObject, newId: () => string): CandidatePart[] {
  return objectsOf(objectOf(candidate['content'])['parts']).flatMap((part): CandidatePart[] => {
    const call = part['functionCall'];
    if (isObject(call)) {
      const signature = textOf(part['thoughtSignature']);
      return [
        {
          is: 'call',
          id: withSignature(textOf(call['id']) ?? newId(), signature),
          name: textOf(call['name']) ?? '',
          arguments: JSON.stringify(call['args'] ?? {}),
          ...(signature === undefined ? {} : { providerFields: { thought_signature: signature } }),
        },
      ];
    }
    const text = textOf(part['text']);
    return text === undefined ? [] : [{ is: part['thought'] === true ? 'thought' : 'text', text }];
  });
}
