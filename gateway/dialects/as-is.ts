/** The dialect of a client whose provider speaks it, too: answers pass unchanged, only the gateway's own words are put into it. */
import type { Dialect, DialectEncoder } from './dialect.ts';

export const asIs = (dialect: Dialect): Dialect => ({
  ...dialect,
  fromReply: (reply) => reply,
  encoder: (request): DialectEncoder => ({
    push: (block) => block,
    end: () => nothing,
    broken: (envelope) => dialect.encoder(request).broken(envelope),
  }),
});

const nothing = Buffer.alloc(0);
