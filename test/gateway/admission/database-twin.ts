/**
 * `grant_slices`, `ship_events` and `close_log` once more, in memory: the database of the simulation. It must do what
 * the SQL functions do, counter by counter, which `database-twin.test.ts` checks over random messages.
 */
import type { BudgetClaim, BudgetReply } from '../../../gateway/domain/slices.ts';

export interface TwinAccount {
  max: number | undefined;
  spent: number;
  leased: number;
  lifetime: number;
  /** The window has ended, and nobody has looked since. */
  windowOver: boolean;
}

export interface TwinSlice {
  granted: number;
  returned: number;
  spent: number;
}

export interface TwinLog {
  applied: number;
  closed: boolean;
  readonly slices: Map<string, TwinSlice>;
}

export interface TwinEvent {
  readonly id: number;
  readonly cost: number;
  readonly accounts: readonly string[];
}

/** What an account without a limit has free. */
const plenty = 1_000_000_000_000_000;

export class DatabaseTwin {
  readonly accounts = new Map<string, TwinAccount>();
  readonly logs = new Map<string, TwinLog>();
  /** Grows only; a copy shares the array and has its own length. */
  entries: TwinEvent[] = [];

  copy(): DatabaseTwin {
    const copy = new DatabaseTwin();
    for (const [id, account] of this.accounts) copy.accounts.set(id, { ...account });
    for (const [id, log] of this.logs) {
      const slices = new Map([...log.slices].map(([account, slice]) => [account, { ...slice }]));
      copy.logs.set(id, { applied: log.applied, closed: log.closed, slices });
    }
    copy.entries = this.entries.slice();
    return copy;
  }

  putAccount(id: string, max: number | undefined): void {
    const known = this.accounts.get(id);
    if (known === undefined) this.accounts.set(id, { max, spent: 0, leased: 0, lifetime: 0, windowOver: false });
    else known.max = max;
  }

  log(id: string): TwinLog {
    let log = this.logs.get(id);
    if (log === undefined) {
      log = { applied: 0, closed: false, slices: new Map() };
      this.logs.set(id, log);
    }
    return log;
  }

  grant(logId: string, claims: readonly BudgetClaim[]): Omit<BudgetReply, 'windowMs'>[] | 'closed' {
    const log = this.log(logId);
    if (log.closed) return 'closed';
    let live = 0;
    for (const other of this.logs.values()) if (!other.closed) live++;
    const replies: Omit<BudgetReply, 'windowMs'>[] = [];
    for (const claim of claims.toSorted((a, b) => (a.account < b.account ? -1 : 1))) {
      const account = this.accounts.get(claim.account);
      if (account === undefined) continue;
      roll(account);
      let slice = log.slices.get(claim.account);
      if (slice === undefined) {
        slice = { granted: 0, returned: 0, spent: 0 };
        log.slices.set(claim.account, slice);
      }
      const { granted: claimed, returned: back } = this.totalsOf(claim, slice);
      const returned = Math.max(slice.returned, back);
      const granted = Math.max(slice.granted, claimed, returned + slice.spent);
      account.leased += granted - returned - (slice.granted - slice.returned);
      const free = account.max === undefined ? plenty : account.max - account.spent - account.leased;
      let need = Math.max(claim.want - granted, 0);
      if (need > 0 && free > 16 * live * claim.ticket) {
        const slack = Math.min(claim.slack, Math.floor(free / (4 * live)));
        need += Math.floor(slack / claim.ticket) * claim.ticket;
      }
      need = Math.min(need, Math.max(free, 0));
      slice.granted = granted + need;
      slice.returned = returned;
      account.leased += need;
      replies.push({
        account: claim.account,
        granted: granted + need,
        free: free - need,
        spent: account.spent,
        max: account.max,
      });
    }
    return replies;
  }

  /** A wrong variant of the protocol reads the claim otherwise. */
  protected totalsOf(claim: BudgetClaim, _slice: TwinSlice): { readonly granted: number; readonly returned: number } {
    return claim;
  }

  ship(logId: string, first: number, events: readonly TwinEvent[]): number {
    const log = this.log(logId);
    const last = first + events.length - 1;
    if (first > log.applied + 1 || last <= log.applied) return log.applied;
    for (const event of events.slice(log.applied + 1 - first)) this.book(log, event);
    log.applied = last;
    return last;
  }

  protected book(log: TwinLog, event: TwinEvent): void {
    this.entries.push(event);
    for (const id of event.accounts) {
      let account = this.accounts.get(id);
      if (account === undefined) {
        account = { max: undefined, spent: 0, leased: 0, lifetime: 0, windowOver: false };
        this.accounts.set(id, account);
      }
      roll(account);
      account.spent += event.cost;
      account.lifetime += event.cost;
      const slice = log.slices.get(id);
      if (slice === undefined) continue;
      const granted = Math.max(slice.granted, slice.returned + slice.spent + event.cost);
      account.leased += granted - slice.granted - event.cost;
      slice.granted = granted;
      slice.spent += event.cost;
    }
  }

  close(logId: string, last: number): boolean {
    const log = this.logs.get(logId);
    if (log === undefined || log.applied < last) return false;
    if (!log.closed) this.abandon(logId);
    return true;
  }

  abandon(logId: string): void {
    const log = this.log(logId);
    for (const [id, slice] of log.slices) {
      const account = this.accounts.get(id);
      if (account !== undefined) account.leased -= slice.granted - slice.returned - slice.spent;
      slice.returned = slice.granted - slice.spent;
    }
    log.closed = true;
  }
}

function roll(account: TwinAccount): void {
  if (!account.windowOver) return;
  // What is handed out stays handed out.
  account.spent = 0;
  account.windowOver = false;
}
