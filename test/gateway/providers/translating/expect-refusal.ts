import { expect } from 'vitest';
import { Refusal } from '../../../../gateway/domain/errors.ts';

/** Expects a refusal 400 that names the parameter. */
export function expectRefusal(act: () => unknown, param: string): void {
  let refusal: unknown;
  try {
    act();
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(Refusal);
  expect(refusal).toMatchObject({ status: 400, param, type: 'invalid_request_error' });
  expect(String(refusal)).toContain(param);
}
