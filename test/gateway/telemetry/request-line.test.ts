import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { requestLine } from '../../../gateway/telemetry/request-line.ts';
import { spendEvent } from '../examples.ts';

it('is one line of JSON, whatever a client calls its model and its request', () => {
  const name = fc.string({
    unit: fc.constantFrom('a', ' ', '"', '\\', '\n', '\0', '\u007f', 'é', '\u2028', '😀', '\ud800', '\udc00'),
  });
  fc.assert(
    fc.property(name, name, fc.option(name), fc.option(fc.boolean()), (callId, model, deploymentId, cacheHit) => {
      const event = spendEvent('018f', {
        callId,
        requestedModel: model,
        deploymentId,
        ...(cacheHit === null ? {} : { cacheHit }),
      });
      const line = requestLine(event, 1_700_000_000_001, 4_711);
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(JSON.parse(line)).toEqual({
        level: 'info',
        time: 1_700_000_000_001,
        pid: 4_711,
        id: '018f',
        call: callId,
        key: event.keyHash.slice(0, 12),
        model,
        deployment: deploymentId,
        status: 200,
        ending: 'finished',
        ...(cacheHit === null ? {} : { cache: cacheHit ? 'hit' : 'miss' }),
        attempts: 1,
        ms: 12,
        msg: 'request',
      });
    }),
  );
});

it('leaves out a call id that the client has not chosen', () => {
  expect(JSON.parse(requestLine(spendEvent('018f'), 0, 1))).not.toHaveProperty('call');
});
