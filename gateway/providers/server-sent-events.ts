/** Cuts bytes into server-sent events. https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream */

export interface ServerSentEvent {
  /** Empty when the event has no name. */
  readonly name: string;
  readonly data: string;
}

/** An event larger than this is not an event. */
const largestEventBytes = 16 * 1024 * 1024;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Reads one stream; holds what has arrived of an unfinished line and of an unfinished event. */
export class EventReader {
  #pieces: Buffer[] = [];
  #held = 0;
  #name = '';
  #data: string[] = [];
  #dataLength = 0;
  #afterReturn = false;
  #first = true;

  /** @returns the events that are complete now, or undefined when one is larger than any event can be. */
  push(bytes: Buffer): ServerSentEvent[] | undefined {
    const events: ServerSentEvent[] = [];
    let start = 0;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#afterReturn = false;
        continue;
      }
      if (byte === lineFeed && this.#afterReturn) {
        // The second half of CR LF, which may come with the next bytes.
        this.#afterReturn = false;
        start = at + 1;
        continue;
      }
      this.#afterReturn = byte === carriageReturn;
      const event = this.#line(bytes.subarray(start, at));
      if (event !== undefined) events.push(event);
      start = at + 1;
    }
    if (start < bytes.length) {
      this.#pieces.push(bytes.subarray(start));
      this.#held += bytes.length - start;
    }
    return this.#held + this.#dataLength > largestEventBytes ? undefined : events;
  }

  /** The stream is over; some servers forget the blank line behind their last event. */
  end(): ServerSentEvent | undefined {
    const event = this.#held > 0 ? this.#line(Buffer.alloc(0)) : undefined;
    return event ?? this.#dispatch();
  }

  #line(tail: Buffer): ServerSentEvent | undefined {
    // Decoded only when complete: a character may be cut between two pieces.
    let line = (this.#pieces.length === 0 ? tail : Buffer.concat([...this.#pieces, tail])).toString();
    this.#pieces = [];
    this.#held = 0;
    if (this.#first) {
      this.#first = false;
      if (line.startsWith('\uFEFF')) line = line.slice(1);
    }
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.#name = value;
    if (field === 'data') {
      this.#data.push(value);
      this.#dataLength += value.length;
    }
    return undefined;
  }

  #dispatch(): ServerSentEvent | undefined {
    const event = this.#data.length === 0 ? undefined : { name: this.#name, data: this.#data.join('\n') };
    this.#name = '';
    this.#data = [];
    this.#dataLength = 0;
    return event;
  }
}
