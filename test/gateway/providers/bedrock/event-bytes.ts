/** The events of a fixture as bytes of AWS's binary event stream, written by the official codec. */
import { EventStreamCodec } from '@smithy/eventstream-codec';
import type { JsonObject } from '../../../../gateway/domain/request.ts';

export interface FixtureEvent {
  readonly type?: string;
  readonly exception?: string;
  readonly payload: JsonObject;
}

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes).toString(),
  (text) => Buffer.from(text),
);

const header = (value: string) => ({ type: 'string' as const, value });

export const frame = (headers: Readonly<Record<string, string>>, payload: unknown): Buffer =>
  Buffer.from(
    codec.encode({
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, header(value)])),
      body: Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
    }),
  );

export const eventBytes = (events: readonly FixtureEvent[]): Buffer =>
  Buffer.concat(
    events.map(({ type, exception, payload }) =>
      frame(
        exception === undefined
          ? { ':message-type': 'event', ':event-type': type ?? '', ':content-type': 'application/json' }
          : { ':message-type': 'exception', ':exception-type': exception, ':content-type': 'application/json' },
        payload,
      ),
    ),
  );
