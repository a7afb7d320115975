/** Entries of `general_settings.pass_through_endpoints`. */
import { z } from 'zod';
import { passThroughMethods } from '../../domain/pass-through.ts';
import { boolean, name, positiveSeconds, price } from './fields.ts';

const headerValue = z.union([z.string(), z.number(), z.boolean()]).transform(String);

export const passThroughEndpoint = z.looseObject({
  /** Of the gateway, for example `/bria`. */
  path: name,
  /** Address that requests are sent on to. */
  target: name,
  /** For the target; in a value, `os.environ/NAME` may stand anywhere. */
  headers: z.record(z.string(), headerValue).optional(),
  /** Whether the client's own headers go to the target, but for its key of this gateway. */
  forward_headers: boolean.optional(),
  /** Whether a key of this gateway is needed; true unless stated. */
  auth: boolean.optional(),
  /** Whether everything below the path belongs to it. */
  include_subpath: boolean.optional(),
  methods: z
    .array(z.string().toUpperCase().pipe(z.enum(passThroughMethods)))
    .min(1)
    .optional(),
  default_query_params: z.record(z.string(), headerValue).optional(),
  /** US dollars; unknown unless stated. */
  cost_per_request: price.optional(),
  /** Seconds to the head of an answer, and between two pieces of it. */
  timeout: positiveSeconds.optional(),
});
