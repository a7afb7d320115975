/** The client's own bytes for a provider of the same API: the model's name is spliced in, little else ever changes. */
import type { JsonObject, ModelRequest } from '../../domain/request.ts';
import { gatewayMembers } from '../gateway-members.ts';
import { isObject, printBody } from '../json.ts';
import { type ByteSpan, scanTopLevel } from '../json-bytes.ts';

/** Top-level members with the texts that take the place of their values. */
export type Replacements = Readonly<Record<string, string>>;

/**
 * @param metadata what of `metadata` the provider takes; the gateway's own members in it would be refused there.
 * @param replaced members besides the model; only those that the body has.
 */
export function nativeBody(
  { body, bytes }: ModelRequest,
  model: string,
  metadata: (value: JsonObject) => JsonObject,
  replaced: Replacements = {},
): Buffer {
  const changes: Replacements = { ...replaced, model };
  const names = Object.keys(changes);
  const members = Object.keys(body);
  const stated = body['metadata'];
  const kept = isObject(stated) ? metadata(stated) : undefined;
  const top = scanTopLevel(bytes, names);
  const simple =
    top !== undefined &&
    // A key that appears twice would mean one thing here and another upstream.
    top.count === members.length &&
    names.every((name) => top.spans.has(name)) &&
    !members.some(isOurs) &&
    (kept === undefined || Object.keys(kept).length === Object.keys(stated ?? {}).length);
  if (simple) return spliced(bytes, top.spans, changes);
  return printBody({
    ...Object.fromEntries(Object.entries(body).filter(([member]) => !isOurs(member))),
    ...(kept === undefined ? {} : { metadata: kept }),
    ...changes,
  });
}

/** These APIs have a `metadata` of their own. */
const isOurs = (member: string): boolean => member !== 'metadata' && gatewayMembers.has(member);

/** The bytes with texts in place of the values at these spans. */
export function spliced(bytes: Buffer, spans: ReadonlyMap<string, ByteSpan>, changes: Replacements): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const [name, { start, end }] of [...spans].toSorted(([, a], [, b]) => a.start - b.start)) {
    const text = changes[name];
    if (text === undefined) continue;
    pieces.push(bytes.subarray(at, start), Buffer.from(JSON.stringify(text)));
    at = end;
  }
  pieces.push(bytes.subarray(at));
  return Buffer.concat(pieces);
}
