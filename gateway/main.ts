/** A gateway process on its own, or as one of several workers under a supervisor. Signals become a drain. */
import cluster from 'node:cluster';
import { WorkerLink } from './cluster/worker-link.ts';
import { type GatewayProcess, startGateway } from './process.ts';
import { readSettings } from './settings.ts';
import { describeStartError } from './start-error.ts';
import { openLog } from './telemetry/log.ts';

/** Runs until a signal (alone) or the supervisor (as a worker) ends it; then the process exits. */
export async function runGatewayProcess(): Promise<void> {
  let gateway: GatewayProcess | undefined;
  let exit = false;
  const end = (): void => {
    exit = true;
    if (gateway !== undefined) void gateway.drain().then(() => process.exit(0));
  };
  const link = cluster.isWorker ? new WorkerLink(end) : undefined;
  if (link === undefined) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
  } else {
    // A terminal sends Ctrl-C to every process; workers wait for their supervisor, which drains all together.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined);
  }
  try {
    const settings = readSettings();
    const log = openLog(settings.logLevel, settings.logFile);
    gateway = await startGateway({
      settings,
      log,
      writesSnapshot: settings.workerIndex === 0,
      cacheSiblings: link,
      metricsText: (metrics) => {
        link?.publish(metrics.registry);
        return async () =>
          link === undefined
            ? { contentType: metrics.registry.contentType, body: await metrics.registry.metrics() }
            : link.metrics(metrics.registry);
      },
    });
    link?.send({ kind: 'ready' });
    if (exit) end();
  } catch (error) {
    const { message, exitCode } = describeStartError(error);
    if (link === undefined) process.stderr.write(`${message}\n`);
    else link.send({ kind: 'failed', message, exitCode });
    process.exitCode = exitCode;
    if (link !== undefined) process.disconnect?.();
  }
}

if (import.meta.main) await runGatewayProcess();
