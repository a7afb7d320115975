/** Without a database nothing is kept of what requests cost. */
import type { SpendRecorder } from '../domain/spend.ts';

export const noOutbox: SpendRecorder = {
  begin: () => undefined,
  doubt: () => undefined,
  end: () => undefined,
  whenWritten: () => undefined,
  flush: () => undefined,
};
