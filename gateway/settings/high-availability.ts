/** Who leads, and for how long. */
import type { Variables } from './variables.ts';

/** How processes agree on configurations. */
export interface HaSettings {
  /** Undefined = `leader_election` with a database, `single` without one. */
  readonly mode: 'single' | 'leader_election' | undefined;
  readonly leaseSeconds: number;
  readonly renewSeconds: number;
  readonly lockName: string;
  /** Who keeps the lease, when it is not the database. */
  readonly kubernetes: { readonly server: string; readonly accountDirectory: string } | undefined;
}

export const haOf = (variables: Variables): HaSettings => ({
  mode: variables.LLMROUTER_HA_MODE,
  leaseSeconds: variables.LLMROUTER_HA_LEASE_SECONDS ?? variables.LLMROUTER_CONFIG_SYNC_LEASE_SECONDS,
  renewSeconds: variables.LLMROUTER_HA_RENEW_INTERVAL_SECONDS ?? variables.LLMROUTER_CONFIG_SYNC_RENEW_INTERVAL_SECONDS,
  lockName: variables.LLMROUTER_HA_LOCK_NAME ?? variables.LLMROUTER_CONFIG_SYNC_LOCK_NAME,
  kubernetes:
    variables.LLMROUTER_HA_BACKEND === 'postgres' || variables.KUBERNETES_SERVICE_HOST === undefined
      ? undefined
      : {
          server: `https://${hostInUrl(variables.KUBERNETES_SERVICE_HOST)}:${variables.KUBERNETES_SERVICE_PORT_HTTPS}`,
          accountDirectory: variables.HOLDFAST_SERVICE_ACCOUNT_DIRECTORY,
        },
});

const hostInUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** What only the variables together can have wrong. */
export function haFaults(variables: Variables): string[] {
  const { leaseSeconds, renewSeconds } = haOf(variables);
  const faults: string[] = [];
  if (renewSeconds * 2 >= leaseSeconds) {
    faults.push(
      `LLMROUTER_HA_RENEW_INTERVAL_SECONDS: a lease of ${leaseSeconds} s that is renewed every ${renewSeconds} s is lost by one late renewal; renew it at least twice within it`,
    );
  }
  if (variables.LLMROUTER_HA_BACKEND === 'kubernetes' && variables.KUBERNETES_SERVICE_HOST === undefined) {
    faults.push('LLMROUTER_HA_BACKEND: is kubernetes, and this is no pod: KUBERNETES_SERVICE_HOST is not set');
  }
  return faults;
}
