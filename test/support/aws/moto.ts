/** The one moto of the run. Whoever asks gets an account of their own in it, and so an empty AWS. */
import { canRun } from '../../../runbooks/lab/run-command.ts';
import { askServer } from '../ask-server.ts';
import { motoProgram } from './moto-server.ts';

export const motoIsInstalled = (): Promise<boolean> => canRun({ command: motoProgram, args: ['--help'] });

export interface Moto {
  readonly url: string;
  /** Twelve digits; no other test has the same. */
  readonly account: string;
}

const firstAccount = 200_000_000_000;

/** @throws when it does not start in time. */
export async function freshMoto(): Promise<Moto> {
  const { url, serial } = await askServer('moto');
  return { url, account: String(firstAccount + serial) };
}
