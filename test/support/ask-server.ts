import { inject } from 'vitest';
import { z } from 'zod';

const serverAddress = z.object({ url: z.url(), serial: z.int() });

/**
 * Asks the main process for a server of this run; the first question starts it.
 * @throws with the launcher's message when it cannot be started.
 */
export async function askServer(kind: 'postgres' | 'redis' | 'moto'): Promise<z.infer<typeof serverAddress>> {
  const response = await fetch(`http://127.0.0.1:${inject('testServersPort')}/${kind}`, {
    // The first question may have to fetch Redis from the package archive.
    signal: AbortSignal.timeout(120_000),
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`No ${kind} for tests: ${body}`);
  return serverAddress.parse(JSON.parse(body));
}
