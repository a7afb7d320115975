import { describe, expect, it } from 'vitest';
import { LinkSignature } from '../../../gateway/region/signature.ts';

const now = 1_700_000_000_000;
const ours = new LinkSignature('a-secret-that-all-regions-have');
const theirs = new LinkSignature('a-secret-that-none-of-ours-has');
const path = '/internal/region/ship';
const body = '{"logId":"x"}';

describe('what regions say to each other', () => {
  it('is believed of whoever has the secret, and says who asks', () => {
    expect(ours.verify(ours.sign('a', path, body, now), path, body, now)).toBe('a');
    expect(ours.verify(ours.sign('a', path, body, now), path, Buffer.from(body), now + 299_000)).toBe('a');
  });

  it.each([
    ['another secret', theirs.sign('a', path, body, now), path, body, now],
    ['another path', ours.sign('a', path, body, now), '/internal/region/deny', body, now],
    ['another body', ours.sign('a', path, body, now), path, '{"logId":"y"}', now],
    ['another region', { ...ours.sign('a', path, body, now), 'x-holdfast-region': 'b' }, path, body, now],
    ['another time', { ...ours.sign('a', path, body, now), 'x-holdfast-time': String(now + 1) }, path, body, now],
    ['a time long ago', ours.sign('a', path, body, now), path, body, now + 301_000],
    ['no signature', {}, path, body, now],
  ])('is not believed with %s', (_, headers, askedPath, askedBody, nowMs) => {
    expect(ours.verify(headers, askedPath, askedBody, nowMs)).toBeUndefined();
  });

  it('is answered to one question only', () => {
    const question = ours.sign('a', path, body, now);
    const answer = ours.answer(question, 200, '{}')['x-holdfast-signature'] ?? '';
    expect(ours.verifyAnswer(question, 200, '{}', answer)).toBe(true);
    expect(ours.verifyAnswer(question, 409, '{}', answer)).toBe(false);
    expect(ours.verifyAnswer(question, 200, '{"x":1}', answer)).toBe(false);
    expect(ours.verifyAnswer(ours.sign('a', path, '{}', now), 200, '{}', answer)).toBe(false);
    expect(ours.verifyAnswer(question, 200, '{}', null)).toBe(false);
  });
});
