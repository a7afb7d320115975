/** Structured logs: one JSON line each, written in batches off the request's path. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface Log {
  readonly logger: Logger;
  /** Writes out what is buffered; call before the process ends. */
  flush(): void;
}

/** A line waits for so many bytes, or for `flushEveryMs`, before it is written. */
const bufferedBytes = 4096;
const flushEveryMs = 500;

/** @param file path, or undefined for standard output. */
export function openLog(level: LogLevel, file?: string): Log {
  const target = destination({ dest: file ?? 1, sync: false, minLength: bufferedBytes, mkdir: true });
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Nothing secret is logged on purpose; this catches what slips in with an error object.
      redact: {
        paths: ['*.authorization', '*.password', '*.connectionString', 'err.config', 'err.headers'],
        remove: true,
      },
    },
    target as DestinationStream,
  );
  const timer = setInterval(() => target.flush(), flushEveryMs);
  timer.unref();
  return {
    logger,
    flush: () => {
      clearInterval(timer);
      target.flushSync();
    },
  };
}
