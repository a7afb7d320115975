/** `holdfast gateway`: what a container runs. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Supervisor, WorkerFailed } from '../gateway/cluster/supervisor.ts';
import { builtInConfig } from '../gateway/config/built-in.ts';
import { drain } from '../gateway/contract.ts';
import { newKey } from '../gateway/domain/keys.ts';
import { runGatewayProcess } from '../gateway/main.ts';
import { readSettings, type Settings, SettingsError } from '../gateway/settings.ts';
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
  giveKey();
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

/**
 * A gateway that was given nothing but a provider's key gets an administrator key for this run: it spends money, so it is
 * not open to whoever reaches its port. Shown here and not in the log.
 */
function giveKey(): void {
  const settings = settingsOrNone();
  if (settings === undefined || settings.masterKey !== undefined || settings.databaseUrl !== undefined) return;
  if (settings.configIsNamed || existsSync(settings.configPath)) return;
  if (builtInConfig(settings.environment) === undefined) return;
  const key = newKey();
  process.env['LITELLM_MASTER_KEY'] = key;
  process.stderr.write(
    `No config file and no LITELLM_MASTER_KEY: until this gateway ends, its administrator key is\n  ${key}\n`,
  );
}

/** Undefined when a variable is wrong; the gateway itself says which. */
function settingsOrNone(): Settings | undefined {
  try {
    return readSettings();
  } catch (error) {
    if (error instanceof SettingsError) return undefined;
    throw error;
  }
}
