/** The refusal that a call throws. */
import { Refusal } from '../../../gateway/domain/errors.ts';

export function refusalOf(act: () => unknown): Refusal {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}
