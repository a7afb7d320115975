/** Cuts a stream of server-sent events between events, as bytes: what need not be read is passed on as it came. */

export const blankLine = Buffer.from('\n\n');
const blankLineCrLf = Buffer.from('\r\n\r\n');
/** A line that begins with a colon is a comment. */
export const commentMark = 0x3a;
/** An event larger than this is not an event. */
const largestEventBytes = 16 * 1024 * 1024;
export const tooLarge = 'one event is larger than 16 MiB';

/** Of one stream: holds what has arrived of an event that is not complete. */
export class EventBlocks {
  #partial: Buffer | undefined;

  /** @returns the events that are complete now, none of them = empty; undefined when one is `tooLarge`. */
  push(bytes: Buffer): Buffer | undefined {
    const all = this.#partial === undefined ? bytes : Buffer.concat([this.#partial, bytes]);
    const end = lastEventEnd(all);
    this.#partial = end === all.length ? undefined : all.subarray(end);
    if ((this.#partial?.length ?? 0) > largestEventBytes) return undefined;
    return end === all.length ? all : all.subarray(0, end);
  }

  /** The stream is over. @returns what came behind its last whole event; undefined = nothing. */
  rest(): Buffer | undefined {
    const rest = this.#partial;
    this.#partial = undefined;
    return rest;
  }
}

/** Position behind the last blank line; 0 when no event is complete. */
function lastEventEnd(bytes: Buffer): number {
  const lf = bytes.lastIndexOf(blankLine);
  const crLf = bytes.lastIndexOf(blankLineCrLf);
  return Math.max(lf === -1 ? 0 : lf + 2, crLf === -1 ? 0 : crLf + 4);
}

/** Position behind the first event that starts at `start`. */
function firstEventEnd(block: Buffer, start: number): number {
  const lf = block.indexOf(blankLine, start);
  const crLf = block.indexOf(blankLineCrLf, start);
  return Math.min(lf === -1 ? block.length : lf + 2, crLf === -1 ? block.length : crLf + 4);
}

/** The events of a block, each with its blank line. */
export function splitEvents(block: Buffer): Buffer[] {
  const events: Buffer[] = [];
  let start = 0;
  while (start < block.length) {
    const end = firstEventEnd(block, start);
    events.push(block.subarray(start, end));
    start = end;
  }
  return events;
}

export function withoutLeadingComments(block: Buffer): Buffer {
  let start = 0;
  while (block[start] === commentMark) start = firstEventEnd(block, start);
  return block.subarray(start);
}
