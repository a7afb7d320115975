import { describe, expect, it } from 'vitest';
import { windowOf } from '../../../gateway/domain/budget-window.ts';

/** A Wednesday. */
const now = Date.UTC(2026, 10, 18, 13, 45, 30);
const endOf = (duration: string, at = now): string | undefined => {
  const window = windowOf(duration, at);
  return window && new Date(window.endsAtMs).toISOString();
};

describe('a budget window', () => {
  it.each([
    ['24h', '2026-11-19T00:00:00.000Z', '86400 seconds'],
    ['1d', '2026-11-19T00:00:00.000Z', '86400 seconds'],
    ['7d', '2026-11-22T00:00:00.000Z', '604800 seconds'],
    ['1w', '2026-11-22T00:00:00.000Z', '604800 seconds'],
    ['30d', '2026-12-01T00:00:00.000Z', '1 mons'],
    ['1mo', '2026-12-01T00:00:00.000Z', '1 mons'],
    ['3mo', '2027-02-01T00:00:00.000Z', '3 mons'],
    ['30s', '2026-11-18T13:46:00.000Z', '30 seconds'],
    ['90m', '2026-11-18T15:15:30.000Z', '5400 seconds'],
    ['12h', '2026-11-19T01:45:30.000Z', '43200 seconds'],
    ['10d', '2026-11-28T13:45:30.000Z', '864000 seconds'],
  ])('of %s ends at %s and goes on by %s', (duration, end, length) => {
    expect(endOf(duration)).toBe(end);
    expect(windowOf(duration, now)?.length).toBe(length);
  });

  it.each(['24h', '7d', '30d', '1mo'])('of %s that begins now ends a whole length later, never at once', (duration) => {
    const sunday = Date.UTC(2026, 10, 1);
    expect(windowOf(duration, sunday)?.endsAtMs).toBeGreaterThan(sunday + 86_399_999);
  });

  it.each(['', 'h', '0h', '-1d', '1.5d', '24 hours', '1y', '99999999d'])('of "%s" is none', (duration) => {
    expect(windowOf(duration, now)).toBeUndefined();
  });
});
