/** `holdfast gateway`: what a container runs. */
import { fileURLToPath } from 'node:url';
import { Supervisor, WorkerFailed } from '../gateway/cluster/supervisor.ts';
import { drain } from '../gateway/contract.ts';
import { runGatewayProcess } from '../gateway/main.ts';
import { fail } from './say.ts';

export interface GatewayOptions {
  readonly config?: string;
  readonly port?: number;
  readonly workers: number;
}

export const gatewayEntry = fileURLToPath(new URL('../gateway/main.ts', import.meta.url));

/** @returns an exit code, or undefined while the gateway runs in this process. */
export async function gateway(options: GatewayOptions): Promise<number | undefined> {
  if (options.config !== undefined) process.env['CONFIG_FILE_PATH'] = options.config;
  if (options.port !== undefined) process.env['PORT'] = String(options.port);
  if (options.workers === 1) {
    await runGatewayProcess();
    return undefined;
  }
  const supervisor = new Supervisor({
    count: options.workers,
    entry: gatewayEntry,
    environment: {},
    drainSeconds: drain.noticeSeconds + drain.deadlineSeconds + drain.flushSeconds,
    onWorkerLost: ({ pid, code, signal, restartInMs }) =>
      void process.stderr.write(
        `${JSON.stringify({ level: 'error', msg: 'a gateway process ended', lost: pid, code, signal, restartInMs })}\n`,
      ),
    onRestartFailed: (error) =>
      void process.stderr.write(
        `${JSON.stringify({ level: 'error', msg: 'a gateway process could not start again', reason: error.message })}\n`,
      ),
  });
  const signalled = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => signalled.resolve());
  try {
    await supervisor.start();
  } catch (error) {
    if (error instanceof WorkerFailed) return fail(error.message, error.exitCode);
    throw error;
  }
  await signalled.promise;
  await supervisor.drain();
  return 0;
}
