/** `holdfast status`: what an operator asks first, on one screen. */
import { z } from 'zod';
import { AskFailed, ask, type Gateway } from './ask-gateway.ts';
import { fail, say } from './say.ts';

const statusSchema = z.object({
  status: z.string(),
  degraded: z.array(z.object({ reason: z.string(), message: z.string(), since: z.string() })),
  process: z.object({ id: z.string().nullable(), gateway_version: z.string(), in_flight_requests: z.number() }),
  leadership: z
    .object({
      mode: z.string(),
      role: z.string(),
      leader: z.string().nullable(),
      epoch: z.number().nullable(),
      lease_remaining_seconds: z.number().nullable(),
    })
    .nullable(),
  region: z.looseObject({ name: z.string(), standing: z.string(), epoch: z.number() }).nullable(),
  config: z
    .object({
      version: z.number().nullable(),
      sha256: z.string(),
      source: z.string(),
      fault: z.string().nullable(),
      restart_required: z.array(z.string()),
    })
    .nullable(),
  stores: z.object({
    database: z.string().nullable(),
    redis: z.string().nullable(),
    snapshot_age_seconds: z.number().nullable(),
  }),
  outbox: z
    .object({
      events: z.number(),
      bytes: z.number(),
      oldest_unshipped_seconds: z.number(),
      pressure: z.string(),
    })
    .nullable(),
  processes: z
    .array(
      z.object({
        id: z.string(),
        silent_seconds: z.number(),
        config_version: z.number().nullable(),
        config_sha256: z.string(),
        config_fault: z.string().nullable(),
      }),
    )
    .nullable(),
});

/** @returns 0 when all is well, 1 when it cannot be told, 3 when the gateway serves and does without something. */
export async function showStatus(gateway: Gateway, asJson: boolean): Promise<number> {
  let answer: unknown;
  try {
    answer = await ask(gateway, '/admin/status');
  } catch (error) {
    if (error instanceof AskFailed) return fail(error.message, 1);
    throw error;
  }
  const status = statusSchema.parse(answer);
  if (asJson) say(JSON.stringify(answer, undefined, 2));
  else for (const line of linesOf(status)) say(line);
  return status.degraded.length === 0 ? 0 : 3;
}

function linesOf(status: z.output<typeof statusSchema>): string[] {
  const { leadership, region, config, stores, outbox, processes } = status;
  const row = (name: string, value: string): string => `${name.padEnd(12)} ${value}`;
  return [
    row('status', status.status),
    ...status.degraded.map(({ message, since }) => row('', `since ${since}: ${message}`)),
    row('process', `${status.process.id ?? 'unnamed'}, ${status.process.in_flight_requests} requests run`),
    ...(leadership === null ? [] : [row('leader', leaderWords(leadership))]),
    ...(region === null ? [] : [row('region', `${region.name}: ${region.standing}, epoch ${region.epoch}`)]),
    ...(config === null
      ? []
      : [
          row('config', `${versionWords(config)} from ${config.source}`),
          ...(config.fault === null ? [] : [row('', `not taken: ${config.fault}`)]),
          ...(config.restart_required.length === 0
            ? []
            : [row('', `waits for a restart: ${config.restart_required.join(', ')}`)]),
        ]),
    row('database', stores.database ?? 'none'),
    row('redis', stores.redis ?? 'none'),
    ...(stores.snapshot_age_seconds === null
      ? []
      : [row('keys', `from a snapshot of ${Math.round(stores.snapshot_age_seconds)} s ago`)]),
    ...(outbox === null
      ? []
      : [
          row(
            'outbox',
            `${outbox.events} events wait, ${outbox.bytes} bytes on disk, the oldest ${Math.round(outbox.oldest_unshipped_seconds)} s old, pressure ${outbox.pressure}`,
          ),
        ]),
    ...(processes ?? []).map((one) =>
      row(
        'process',
        `${one.id} ${versionWords({ version: one.config_version, sha256: one.config_sha256 })}, heard ${one.silent_seconds.toFixed(1)} s ago${one.config_fault === null ? '' : `, not taken: ${one.config_fault}`}`,
      ),
    ),
  ];
}

const versionWords = ({ version, sha256 }: { version: number | null; sha256: string }): string =>
  `${version === null ? 'unnumbered' : `version ${version}`} (${sha256.slice(0, 12)})`;

const leaderWords = (leadership: {
  mode: string;
  role: string;
  leader: string | null;
  epoch: number | null;
  lease_remaining_seconds: number | null;
}): string => {
  if (leadership.mode === 'single') return 'nobody is elected: each process watches its source';
  const who = leadership.role === 'leader' ? 'this process' : (leadership.leader ?? 'unknown');
  const lease =
    leadership.lease_remaining_seconds === null ? '' : `, lease ${leadership.lease_remaining_seconds.toFixed(1)} s`;
  return `${who}, epoch ${leadership.epoch ?? 'unknown'}${lease}`;
};
