/** Structured logs: one JSON line each, written in batches off the request's path. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import type { SpendEvent } from '../domain/spend.ts';
import { requestLine } from './request-line.ts';

export type { Logger } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

export interface Log {
  readonly logger: Logger;
  /** A request has ended. */
  request(event: SpendEvent): void;
  /** Writes out what is buffered; call before the process ends. */
  flush(): void;
}

/** A line waits for so many bytes, or for `flushEveryMs`, before it is written. */
const bufferedBytes = 8192;
/** The same for lines of requests: each write wakes another thread, which costs as much as dozens of lines. */
const gatheredLength = 65_536;
const flushEveryMs = 500;

/** @param file path, or undefined for standard output. */
export function openLog(level: LogLevel, file?: string): Log {
  const target = destination({ dest: file ?? 1, sync: false, minLength: bufferedBytes, mkdir: true });
  // The stream would copy all that it holds with each line that it is given, so lines of requests come to it together.
  let gathered = '';
  const pass = (): void => {
    if (gathered === '') return;
    target.write(gathered);
    gathered = '';
  };
  const inOrder: DestinationStream = {
    write: (line) => {
      pass();
      target.write(line);
    },
  };
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
      // Of an error only these, whatever a library hangs on it: connection strings and headers stay out.
      serializers: { err: describeError },
    },
    inOrder,
  );
  const timer = setInterval(() => {
    pass();
    target.flush();
  }, flushEveryMs);
  timer.unref();
  const tellsRequests = logger.isLevelEnabled('info');
  return {
    logger,
    request: (event) => {
      if (!tellsRequests) return;
      gathered += requestLine(event, Date.now(), process.pid);
      if (gathered.length >= gatheredLength) pass();
    },
    flush: () => {
      clearInterval(timer);
      pass();
      target.flushSync();
    },
  };
}

interface ErrorDescription {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack: string | undefined;
  readonly cause?: ErrorDescription;
}

function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: undefined };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    type: error.name,
    message: error.message,
    stack: error.stack,
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
  };
}
