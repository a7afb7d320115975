/** What moves traffic by shares needs of the world, and what it looks at before it goes on. */

export interface CanaryWorld {
  /** Percent of all clients that a region gets while another one takes over; 0 in peace. */
  readonly shares: {
    /** Undefined = clients are not divided by shares. */
    read(region: string, signal: AbortSignal): Promise<number | undefined>;
    set(region: string, percent: number, signal: AbortSignal): Promise<void>;
  };
  /** What a region's gateways have counted in the last seconds. */
  vitals(region: string, windowSeconds: number, signal: AbortSignal): Promise<Vitals>;
}

export interface Vitals {
  readonly requests: number;
  /** Answers of 5xx: a client's own fault is no fault of the region. */
  readonly errors: number;
  /** 95th percentile of this region minus that of the others, milliseconds; undefined = nothing to compare with. */
  readonly addedLatencyMs: number | undefined;
}

export interface GateLimits {
  readonly maxErrorPercent: number;
  readonly maxAddedLatencyMs: number;
  /** Fewer prove nothing. */
  readonly minRequests: number;
}

/** The numbers of the monthly drill: errors below 1 %, added latency below 100 ms. */
export const defaultGate: GateLimits = { maxErrorPercent: 1, maxAddedLatencyMs: 100, minRequests: 20 };

export type GateVerdict =
  | { readonly is: 'passes'; readonly note: string }
  | { readonly is: 'breached'; readonly because: string }
  | { readonly is: 'too-few'; readonly note: string };

/** Pure. A breach needs enough requests, too: one error of three must not move a platform. */
export function judge(vitals: Vitals, limits: GateLimits): GateVerdict {
  const { requests, errors, addedLatencyMs } = vitals;
  if (requests < limits.minRequests) return { is: 'too-few', note: `${requests} of ${limits.minRequests} requests` };
  const errorPercent = (100 * errors) / Math.max(1, requests);
  const faults: string[] = [];
  if (errorPercent > limits.maxErrorPercent) {
    faults.push(`${errorPercent.toFixed(1)} % errors, at most ${limits.maxErrorPercent} % are good`);
  }
  if (addedLatencyMs !== undefined && addedLatencyMs > limits.maxAddedLatencyMs) {
    faults.push(`${Math.round(addedLatencyMs)} ms slower, at most ${limits.maxAddedLatencyMs} ms are good`);
  }
  if (faults.length > 0) return { is: 'breached', because: faults.join('; ') };
  const latency = addedLatencyMs === undefined ? '' : `, ${Math.round(addedLatencyMs)} ms added`;
  return { is: 'passes', note: `${requests} requests, ${errorPercent.toFixed(1)} % errors${latency}` };
}
