/**
 * Shares of clients by the one parameter of the dns stack, which sets both weights. They divide clients while a takeover
 * object lies in another region, and only between the primary and the others. It needs control planes: for failback, which
 * can wait for them, and never for failover.
 */
import { parameters } from '../../lib/platform/names.ts';
import { failbackPercents } from '../../lib/platform/traffic.ts';
import type { CanaryWorld } from '../books/canary-world.ts';
import type { AwsClients } from './clients.ts';
import { parameterOf, stackAtRest, updateStack } from './stacks.ts';

export interface SharesPlace {
  /** Of the dns stack. */
  readonly region: string;
  readonly stack: string;
  /** The one region that the parameter is about. */
  readonly primary: string;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

/** @param open clients of the account that has the dns stack; opened with the first share. @throws when they are not known. */
export function failbackShares(open: () => AwsClients, place: SharesPlace): CanaryWorld['shares'] {
  const { region, stack, primary, wait } = place;
  let opened: AwsClients | undefined;
  const clients = (): AwsClients => (opened ??= open());
  const atRest = async (signal: AbortSignal) => stackAtRest(clients(), { region, stack }, wait, signal);
  return {
    read: async (target, signal) => {
      if (target !== primary) return undefined;
      const percent = parameterOf(await atRest(signal), parameters.failbackPercent);
      return percent === undefined ? undefined : Number(percent);
    },
    set: async (target, percent, signal) => {
      if (target !== primary) {
        throw new Error(`clients come back by shares to ${primary} alone; holdfast.config.ts names it as the primary`);
      }
      if (!failbackPercents.some((known) => known === percent)) {
        throw new Error(`${percent} % is none of the shares that ${stack} knows: ${failbackPercents.join(', ')}`);
      }
      const before = await atRest(signal);
      if (parameterOf(before, parameters.failbackPercent) === undefined) {
        throw new Error(`${stack} has no parameter ${parameters.failbackPercent}; deploy it from this release first`);
      }
      const changes = { [parameters.failbackPercent]: String(percent) };
      await updateStack(clients(), { region, stack, changes, rollsBack: true }, signal);
      // CloudFormation is done when Route 53 says that all of its servers have the records.
      const { StackStatus: status, StackStatusReason: reason, ...after } = await atRest(signal);
      const is = parameterOf(after, parameters.failbackPercent);
      if (is !== String(percent)) {
        throw new Error(`${stack} is ${status} with ${is ?? 'no'} %: ${reason ?? 'see its events'}`);
      }
      if (status?.endsWith('_FAILED') === true) throw new Error(`${stack} is ${status}: ${reason ?? 'see its events'}`);
    },
  };
}
