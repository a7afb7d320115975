import { expect, it } from 'vitest';
import { answerSeal } from '../../../gateway/http/management/answer-seal.ts';
import { secretSeal } from '../../../gateway/stores/secret-seal.ts';

it('a sealed secret is opened with its own salt key alone, and not after a change', () => {
  const { seal, open } = secretSeal('one-salt-key');
  const sealed = seal('sk-provider');
  expect(open(sealed)).toBe('sk-provider');
  expect(seal('sk-provider')).not.toBe(sealed);
  expect(() => secretSeal('another-salt-key').open(sealed)).toThrow();
  expect(() => open(`${sealed.slice(0, -2)}AA`)).toThrow();
});

it('an answer is opened with the client’s own key and its Idempotency-Key alone', () => {
  const { seal, open } = answerSeal('sk-client', 'attempt-1');
  const sealed = seal('{"key":"sk-new"}');
  expect(open(sealed)).toBe('{"key":"sk-new"}');
  expect(sealed.toString('latin1')).not.toContain('sk-new');
  expect(() => answerSeal('sk-other', 'attempt-1').open(sealed)).toThrow();
  expect(() => answerSeal('sk-client', 'attempt-2').open(sealed)).toThrow();
  // Another purpose, another key: what one seals, the other cannot open.
  expect(() => secretSeal('sk-client').open(sealed.toString('base64url'))).toThrow();
});
