/**
 * Ids of answers that a provider keeps (`/v1/responses`): only the deployment that made one can continue, read or delete
 * it, so its id stands in the id that the client sees. Nothing is stored here. It is packed, not encrypted: as at the
 * provider, whoever knows an id and may use the model may use the answer.
 */

const mark = 'resp_hf1';
const separator = '\n';

export interface ResponseAddress {
  readonly deploymentId: string;
  /** The provider's own id. */
  readonly id: string;
}

export const printResponseId = ({ deploymentId, id }: ResponseAddress): string =>
  mark + Buffer.from(deploymentId + separator + id).toString('base64url');

/** @returns undefined for an id that was not made here. */
export function readResponseId(text: string): ResponseAddress | undefined {
  if (!text.startsWith(mark)) return undefined;
  const plain = Buffer.from(text.slice(mark.length), 'base64url').toString();
  const end = plain.lastIndexOf(separator);
  return end <= 0 || end === plain.length - 1
    ? undefined
    : { deploymentId: plain.slice(0, end), id: plain.slice(end + 1) };
}
