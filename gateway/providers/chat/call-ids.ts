/** Ids of tool calls. A conversation may go on with another provider, whose ids may not hold what the first one's did. */
import { hash } from 'node:crypto';

/** The id if the provider can take it, else one that is made of it: the same for the call and for its result. */
export function acceptableCallId(id: string, longest: number): string {
  return id.length <= longest && /^[a-zA-Z0-9_-]+$/.test(id) ? id : `call_${hash('sha256', id).slice(0, 32)}`;
}
