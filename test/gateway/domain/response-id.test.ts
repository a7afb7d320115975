import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { printResponseId, readResponseId } from '../../../gateway/domain/response-id.ts';

const text = fc.string({ minLength: 1 }).filter((value) => !value.includes('\n'));

it('an id of an answer is read as it was written, and is safe in an address', () => {
  fc.assert(
    fc.property(text, text, (deploymentId, id) => {
      const printed = printResponseId({ deploymentId, id });
      expect(printed).toMatch(/^resp_[\w-]+$/);
      // What is no Unicode text cannot come out of JSON either.
      if (deploymentId.isWellFormed() && id.isWellFormed())
        expect(readResponseId(printed)).toEqual({ deploymentId, id });
    }),
  );
});

it('an id that was made elsewhere is not taken for one of ours', () => {
  fc.assert(
    fc.property(fc.string(), (id) => {
      expect(readResponseId(id)).toBeUndefined();
    }),
  );
  expect(readResponseId('resp_hf1')).toBeUndefined();
  expect(readResponseId(printResponseId({ deploymentId: '', id: 'x' }))).toBeUndefined();
  expect(readResponseId(printResponseId({ deploymentId: 'x', id: '' }))).toBeUndefined();
});
