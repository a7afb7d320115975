/** The lab's fault proxy, closed by itself when the test ends. */
import { onTestFinished } from 'vitest';
import { type FaultProxy, type FaultProxyTarget, startFaultProxy } from '../../runbooks/lab/fault-proxy.ts';

export type { FaultProxy, FaultProxyCounts, Faults } from '../../runbooks/lab/fault-proxy.ts';

/** Ends with the test that calls it; called outside of one (in `beforeAll`), the caller closes it. */
export async function faultProxy(target: FaultProxyTarget): Promise<FaultProxy> {
  const proxy = await startFaultProxy(target);
  closeWithTest(proxy);
  return proxy;
}

function closeWithTest(proxy: FaultProxy): void {
  try {
    onTestFinished(() => proxy.close());
  } catch (error) {
    // Vitest throws when no test runs: then a hook called, and its own counterpart closes.
    if (!(error instanceof Error) || !error.message.includes('onTestFinished')) throw error;
  }
}
