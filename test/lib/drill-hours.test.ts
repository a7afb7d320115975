import { expect, it } from 'vitest';
import { drillHoursFaults, isWithin, usualDrillHours } from '../../lib/platform/drill-hours.ts';

it.each([
  ['a Monday at nine', '2026-11-23T09:00:00Z', true],
  ['a Monday a minute before', '2026-11-23T08:59:00Z', false],
  ['a Friday at four', '2026-11-27T16:00:00Z', false],
  ['a Sunday', '2026-11-22T12:00:00Z', false],
])('without hours of its own a platform may be drilled on working days, 09:00 to 16:00 UTC: %s', (_, at, expected) => {
  expect(isWithin(usualDrillHours, new Date(at))).toBe(expected);
});

it('hours are those of their time zone, summer time included', () => {
  const hours = { ...usualDrillHours, timeZone: 'Europe/Berlin' };
  expect(isWithin(hours, new Date('2026-11-23T08:30:00Z'))).toBe(true);
  expect(isWithin(hours, new Date('2026-07-20T07:30:00Z'))).toBe(true);
  expect(isWithin(hours, new Date('2026-07-20T14:30:00Z'))).toBe(false);
});

it('all faults of hours are said at once', () => {
  expect(drillHoursFaults(usualDrillHours)).toEqual([]);
  expect(drillHoursFaults({ days: [], from: '9', to: '25:00', timeZone: 'nowhere' })).toHaveLength(4);
});
