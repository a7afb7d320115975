import { k8s } from 'cdk8s-plus-28';
import { healthPaths } from '../../gateway/contract.ts';

/** Name of the container port; probes and the Service refer to it, so that the number stands in one place. */
export const httpPort = 'http';

/** The three probes. Their paths are the contract's, and none of them asks a database. */
export interface Probes {
  readonly startupProbe: k8s.Probe;
  readonly livenessProbe: k8s.Probe;
  readonly readinessProbe: k8s.Probe;
}

/**
 * Startup allows 160 seconds; until it has passed, the others wait. Liveness restarts a process that hangs, after 30
 * seconds of silence. Readiness takes a draining gateway out within 10 seconds. A gateway that has lost its database
 * still serves, and therefore fails none of them.
 */
export function probes(): Probes {
  return {
    startupProbe: { ...httpGet(healthPaths.health), initialDelaySeconds: 10, periodSeconds: 5, failureThreshold: 30 },
    livenessProbe: {
      ...httpGet(healthPaths.liveliness),
      initialDelaySeconds: 30,
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 3,
    },
    readinessProbe: {
      ...httpGet(healthPaths.readiness),
      initialDelaySeconds: 10,
      periodSeconds: 5,
      timeoutSeconds: 3,
      failureThreshold: 2,
    },
  };
}

const httpGet = (path: string): k8s.Probe => ({ httpGet: { path, port: k8s.IntOrString.fromString(httpPort) } });
