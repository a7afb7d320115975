/** What a provider of the client's own API reads: the client's bytes, and nothing that would mean something else there. */
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import type { JsonObject } from '../../../../gateway/domain/request.ts';
import { nativeBody } from '../../../../gateway/providers/native/body.ts';
import { exampleRequest } from '../../examples.ts';

const all = (metadata: JsonObject): JsonObject => metadata;
const sent = (text: string, replaced = {}): string =>
  nativeBody(exampleRequest(JSON.parse(text), { bytes: Buffer.from(text) }), 'theirs', all, replaced).toString();

it('but for the model, the bytes go on as they are, spaces and escapes included', () => {
  const text = (model: string): string =>
    `{ "a":1.0e2,\n "model" : "${model}" ,"metadata":{"k":"v"},"text":"\\u00e9\\"model\\"","deep":{"model":"x"}}`;
  expect(sent(text('ours'))).toBe(text('theirs'));
});

it('several members are replaced, in whatever order they stand', () => {
  const replaced = { previous_response_id: 'own' };
  expect(sent('{"previous_response_id":"p","x":1,"model":"m"}', replaced)).toBe(
    '{"previous_response_id":"own","x":1,"model":"theirs"}',
  );
  expect(sent('{"model":"m","x":1,"previous_response_id":"p"}', replaced)).toBe(
    '{"model":"theirs","x":1,"previous_response_id":"own"}',
  );
});

it('a key that stands twice means to the provider what it meant to the gateway', () => {
  expect(JSON.parse(sent('{"model":"m","input":"refused","input":"checked"}'))).toEqual({
    model: 'theirs',
    input: 'checked',
  });
  expect(sent('{"model":"m","model":"n"}')).toBe('{"model":"theirs"}');
});

it('what speaks to the gateway, and credentials of the client, stay here', () => {
  const text = '{"model":"m","fallbacks":["x"],"api_key":"sk-theirs","num_retries":1,"input":"hi"}';
  expect(JSON.parse(sent(text))).toEqual({ model: 'theirs', input: 'hi' });
});

it('is the same JSON as the client sent, whatever it is', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(4), (members, spaces) => {
      const { __proto__: _, metadata: __, ...others } = members;
      const text = JSON.stringify({ ...others, model: 'm' }, undefined, spaces);
      expect(JSON.parse(sent(text))).toEqual({ ...JSON.parse(text), model: 'theirs' });
    }),
  );
});
