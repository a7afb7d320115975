/** Clients and upstreams may send anything: the answer is a refusal or a translation, never an exception. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { completionsDialect } from '../../../gateway/dialects/completions/completions.ts';
import type { Dialect } from '../../../gateway/dialects/dialect.ts';
import { messagesDialect } from '../../../gateway/dialects/messages/messages.ts';
import { responsesDialect } from '../../../gateway/dialects/responses/responses.ts';
import { Refusal } from '../../../gateway/domain/errors.ts';
import type { JsonObject } from '../../../gateway/domain/request.ts';
import messagesTurn from '../../fixtures/dialects/messages-agent-turn.json' with { type: 'json' };
import responsesTurn from '../../fixtures/dialects/responses-agent-turn.json' with { type: 'json' };
import { answers, eventsOf, upstreamGone, wholeOf } from './canonical-answers.ts';
import { encoded } from './dialect-server.ts';

const dialects: readonly [string, Dialect, JsonObject][] = [
  ['messages', messagesDialect, messagesTurn.request],
  ['responses', responsesDialect, responsesTurn.request],
  ['completions', completionsDialect, { model: 'm', prompt: ['hi'], stream: true, n: 2, logprobs: 1 }],
];

/** The value with something else at a random place in it. */
function damaged(value: unknown, path: readonly number[], other: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== 'object' || value === null) return other;
  const entries: [string, unknown][] = Object.entries(value);
  const at = step % Math.max(1, entries.length);
  const changed = entries.map(([key, item], index): [string, unknown] => [
    key,
    index === at ? damaged(item, rest, other) : item,
  ]);
  return Array.isArray(value) ? changed.map(([, item]) => item) : Object.fromEntries(changed);
}

const path = fc.array(fc.nat(40), { minLength: 1, maxLength: 7 });
const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constant(undefined));

it.each(dialects)('%s: a damaged request is translated or refused by name', (_, dialect, request) => {
  fc.assert(
    fc.property(path, anything, (steps, other) => {
      const body = Object(damaged(request, steps, other));
      try {
        JSON.stringify(dialect.toChat(body));
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
        expect(error).toMatchObject({ status: 400, param: expect.any(String) });
      }
    }),
    { numRuns: 2_000 },
  );
});

it.each(dialects)('%s: a damaged reply is a reply', (_, dialect, request) => {
  fc.assert(
    fc.property(answers, path, anything, (answer, steps, other) => {
      const reply = JSON.stringify(damaged(wholeOf(answer), steps, other)) ?? '';
      expect(() => JSON.parse(dialect.fromReply(Buffer.from(reply), request).toString())).not.toThrow();
    }),
    { numRuns: 500 },
  );
});

it.each(dialects)('%s: a damaged stream has one end', (_, dialect, request) => {
  fc.assert(
    fc.property(answers, path, anything, fc.boolean(), (answer, steps, other, breaks) => {
      const events = eventsOf(answer).map((event) =>
        event.includes('[DONE]')
          ? event
          : `data: ${JSON.stringify(damaged(JSON.parse(event.slice('data: '.length)), steps, other))}\n\n`,
      );
      const told = encoded(dialect, request, events, breaks ? upstreamGone : undefined).toString();
      const ends = told.match(
        /^(event: (message_stop|error|response\.completed|response\.incomplete)|data: (\[DONE\]|\{"error":).*)$/gm,
      );
      expect(ends).toHaveLength(1);
    }),
    { numRuns: 500 },
  );
});
