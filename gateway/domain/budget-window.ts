/** Windows of budgets: `24h`, `7d`, `30d` and the like. The usual ones end where people expect it; all in UTC. */

export interface BudgetWindow {
  /** As PostgreSQL reads an interval: what each following window adds. */
  readonly length: string;
  /** Wall clock, milliseconds: the end of the window that `now` lies in. */
  readonly endsAtMs: number;
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };
const form = /^([1-9]\d{0,6})(s|m|h|d|w|mo)$/;

/** How a duration is written, for messages. */
export const durationForm = 'a number and s, m, h, d, w or mo, for example 24h, 7d, 30d or 1mo';

/**
 * A day ends at midnight, a week with Saturday, 30 days and a month with the month. Any other length is counted from
 * now on.
 * @returns undefined for what is not a duration.
 */
export function windowOf(duration: string, nowMs: number): BudgetWindow | undefined {
  const [, count = '', unit = ''] = form.exec(duration.trim()) ?? [];
  const number = Number(count);
  const now = new Date(nowMs);
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()];
  if (unit === 'mo') {
    return { length: `${number} mons`, endsAtMs: Date.UTC(year, month + number, 1) };
  }
  const seconds = number * (secondsOf[unit] ?? Number.NaN);
  if (!Number.isFinite(seconds)) return undefined;
  const length = `${seconds} seconds`;
  switch (seconds / 86_400) {
    case 1:
      return { length, endsAtMs: Date.UTC(year, month, day + 1) };
    case 7:
      return { length, endsAtMs: Date.UTC(year, month, day + 7 - now.getUTCDay()) };
    case 30:
      return { length: '1 mons', endsAtMs: Date.UTC(year, month + 1, 1) };
    default:
      return { length, endsAtMs: nowMs + seconds * 1000 };
  }
}
