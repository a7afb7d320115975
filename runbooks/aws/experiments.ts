/**
 * Experiments of AWS FIS, for which this registry has no client package: signed calls, after the service's published model
 * (botocore, fis/2020-12-01). Those of a run carry its id as a tag, so that a later process finds and stops them.
 */
import { z } from 'zod';
import { tagKeys } from '../../lib/platform/names.ts';
import type { FaultState } from '../books/drill.ts';
import type { AwsClients } from './clients.ts';
import { clientToken } from './clients.ts';

const service = 'fis';
const pageSize = '100';
const runTag = 'holdfast:run';

const tags = z.record(z.string(), z.string()).nullish();
const templatesSchema = z.object({
  experimentTemplates: z.array(z.object({ id: z.string(), tags })).default([]),
  nextToken: z.string().nullish(),
});
const stateSchema = z.object({
  status: z.enum(['pending', 'initiating', 'running', 'completed', 'stopping', 'stopped', 'failed', 'cancelled']),
  reason: z.string().nullish(),
});
const experimentsSchema = z.object({
  experiments: z.array(z.object({ id: z.string(), state: stateSchema, tags })).default([]),
  nextToken: z.string().nullish(),
});

export interface RunExperiment {
  readonly id: string;
  readonly name: string;
  readonly status: z.output<typeof stateSchema>['status'];
  readonly reason: string;
}

/** What of the platform's templates in a region makes a fault. */
export interface FaultTemplates {
  readonly region: string;
  readonly platform: string;
  readonly environment: string;
  /** By the name of a template. */
  readonly isWanted: (name: string) => boolean;
}

/**
 * Pure. Some that last decide; a process may have ended between two starts.
 * @param wanted names of the templates that make the fault.
 */
export function faultState(experiments: readonly RunExperiment[], wanted: readonly string[]): FaultState {
  const isLasting = experiments.some(({ status }) => lasts(status));
  const failed = experiments.find(({ status }) => status === 'failed' || status === 'cancelled');
  if (failed !== undefined) {
    const { name, id, status, reason } = failed;
    return { is: 'failed', because: `the experiment ${name} (${id}) has ${status}: ${reason}`, lasts: isLasting };
  }
  const started = new Set(experiments.map(({ name }) => name));
  const isWhole = experiments.length > 0 && wanted.every((name) => started.has(name));
  if (isLasting) return { is: isWhole ? 'there' : 'partly' };
  return { is: isWhole ? 'over' : 'absent' };
}

const lasts = (status: RunExperiment['status']): boolean =>
  status === 'pending' || status === 'initiating' || status === 'running' || status === 'stopping';

/** Every experiment that a run has started in a region. */
export async function experimentsOf(
  clients: AwsClients,
  region: string,
  runId: string,
  signal: AbortSignal,
): Promise<readonly RunExperiment[]> {
  const found: RunExperiment[] = [];
  let nextToken: string | undefined;
  do {
    const query = { maxResults: pageSize, ...(nextToken === undefined ? {} : { nextToken }) };
    const text = await clients.call(region, { service, method: 'GET', path: '/experiments', query }, signal);
    const page = experimentsSchema.parse(JSON.parse(text));
    for (const { id, state, tags: own } of page.experiments) {
      if (own?.[runTag] !== runId) continue;
      found.push({ id, name: own['Name'] ?? id, status: state.status, reason: state.reason ?? 'no reason is given' });
    }
    nextToken = page.nextToken ?? undefined;
  } while (nextToken !== undefined);
  return found;
}

/**
 * Starts every wanted template once: AWS takes a token for the same experiment again.
 * @throws when the region has no such template.
 */
export async function startExperiments(
  clients: AwsClients,
  wanted: FaultTemplates,
  runId: string,
  signal: AbortSignal,
): Promise<void> {
  const templates = await templatesOf(clients, wanted, signal);
  if (templates.length === 0) {
    throw new Error(
      `${wanted.region} has no experiment for that; the resilience stack makes them (for pods: addon drills)`,
    );
  }
  for (const { id, name } of templates) {
    const body = {
      clientToken: clientToken(`${runId}/${name}`),
      experimentTemplateId: id,
      tags: { [runTag]: runId, Name: name },
    };
    const headers = { 'content-type': 'application/json' };
    const path = '/experiments';
    await clients.call(wanted.region, { service, path, headers, body: JSON.stringify(body) }, signal);
  }
}

/** Asks every one that still lasts to stop; the next look tells when it has. */
export async function stopExperiments(
  clients: AwsClients,
  region: string,
  runId: string,
  signal: AbortSignal,
): Promise<void> {
  for (const { id, status } of await experimentsOf(clients, region, runId, signal)) {
    if (!lasts(status) || status === 'stopping') continue;
    const path = `/experiments/${encodeURIComponent(id)}`;
    await clients.call(region, { service, method: 'DELETE', path }, signal);
  }
}

/** The platform's own that make the fault. */
export async function templatesOf(
  clients: AwsClients,
  { region, platform, environment, isWanted }: FaultTemplates,
  signal: AbortSignal,
): Promise<readonly { readonly id: string; readonly name: string }[]> {
  const found: { id: string; name: string }[] = [];
  let nextToken: string | undefined;
  do {
    const query = { maxResults: pageSize, ...(nextToken === undefined ? {} : { nextToken }) };
    const text = await clients.call(region, { service, method: 'GET', path: '/experimentTemplates', query }, signal);
    const page = templatesSchema.parse(JSON.parse(text));
    for (const { id, tags: own } of page.experimentTemplates) {
      const name = own?.['Name'];
      const isOurs = own?.[tagKeys.platform] === platform && own[tagKeys.environment] === environment;
      if (name !== undefined && isOurs && isWanted(name)) found.push({ id, name });
    }
    nextToken = page.nextToken ?? undefined;
  } while (nextToken !== undefined);
  return found;
}
