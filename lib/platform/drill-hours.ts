/** Hours in which people are there to help with a drill in production. Pure. */

export const weekDays = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'] as const;
export type WeekDay = (typeof weekDays)[number];

export interface DrillHours {
  readonly days: readonly WeekDay[];
  /** `09:00`; inside. */
  readonly from: string;
  /** `16:00` of the same day; outside. */
  readonly to: string;
  /** Of the IANA database, for example `Europe/Berlin`. */
  readonly timeZone: string;
}

/** With a working day's last hours left for what a drill may leave behind. */
export const usualDrillHours: DrillHours = {
  days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri'],
  from: '09:00',
  to: '16:00',
  timeZone: 'UTC',
};

/** @param hours without a fault. */
export function isWithin({ days, from, to, timeZone }: DrillHours, at: Date): boolean {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(at);
  const valueOf = (type: Intl.DateTimeFormatPartTypes): string => parts.find((one) => one.type === type)?.value ?? '';
  const time = `${valueOf('hour')}:${valueOf('minute')}`;
  return days.some((day) => day === valueOf('weekday')) && from <= time && time < to;
}

/** Each names its field. */
export function drillHoursFaults({ days, from, to, timeZone }: DrillHours): string[] {
  const at = 'operations.drillHours';
  const faults: string[] = [];
  if (days.length === 0) faults.push(`${at}.days: names no day; no drill could ever begin`);
  for (const day of days) {
    if (!weekDays.includes(day)) faults.push(`${at}.days: "${day}" is not one of ${weekDays.join(', ')}`);
  }
  const isTime = (time: string): boolean => /^([01]\d|2[0-3]):[0-5]\d$/.test(time);
  for (const [field, time] of [
    ['from', from],
    ['to', to],
  ] as const) {
    if (!isTime(time)) faults.push(`${at}.${field}: "${time}" is not a time such as 09:00`);
  }
  if (isTime(from) && isTime(to) && from >= to) {
    faults.push(`${at}: from "${from}" must be before to "${to}", on the same day`);
  }
  if (!isTimeZone(timeZone)) faults.push(`${at}.timeZone: "${timeZone}" is not a time zone such as Europe/Berlin`);
  return faults;
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-GB', { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
