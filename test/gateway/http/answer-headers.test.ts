import { expect, it } from 'vitest';
import type { WholeAnswer } from '../../../gateway/domain/answer.ts';
import { answerHeaders } from '../../../gateway/http/answer-headers.ts';
import type { Served } from '../../../gateway/pipeline/serve.ts';
import { intentOf, Settlement } from '../../../gateway/pipeline/settlement.ts';
import { exampleCaller, exampleDeployment, exampleRequest, noReservation } from '../examples.ts';

const upstreamHeaders = { 'x-ratelimit-limit-requests': '500', 'x-ratelimit-limit-tokens': '9000', 'request-id': 'a' };
const answer: WholeAnswer = {
  kind: 'whole',
  status: 200,
  contentType: 'application/json',
  body: Buffer.alloc(0),
  usage: undefined,
  upstreamHeaders,
};

function served(own: readonly string[] | undefined): Served {
  const request = exampleRequest();
  const reservation = { ...noReservation, headers: () => own };
  const deployment = exampleDeployment('one');
  const way = { deployment, attempts: 1, fallbacks: 0 };
  const intent = intentOf(request, exampleCaller, reservation);
  return {
    ...way,
    answer,
    maxRetries: 2,
    waitedMs: 1,
    release: () => undefined,
    reservation,
    settlement: new Settlement({ request, intent, reservation, ...way }, () => undefined),
  };
}

it("a client's own limits take the place of its provider's, and no header is there twice", () => {
  const list = answerHeaders(served(['x-ratelimit-limit-requests', '7']), 3);
  const names = list.filter((_, place) => place % 2 === 0);
  expect(new Set(names).size).toBe(names.length);
  expect(list[list.indexOf('x-ratelimit-limit-requests') + 1]).toBe('7');
  expect(list[list.indexOf('x-ratelimit-limit-tokens') + 1]).toBe('9000');
  expect(list[list.indexOf('llm_provider-x-ratelimit-limit-requests') + 1]).toBe('500');
});

it("what is left of a provider's limits goes to clients without limits under the usual names", () => {
  const list = answerHeaders(served(undefined), 3);
  expect(list[list.indexOf('x-ratelimit-limit-requests') + 1]).toBe('500');
});
