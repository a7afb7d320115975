/** What a drill in production shows of real clients: what the gateways have counted, from the Prometheus that scrapes them. */
import { metricNames } from '../../gateway/contract.ts';
import type { DrillMeasurements } from '../books/drill.ts';
import { rounded } from '../load/ledger-measurements.ts';
import { askPrometheus, type PrometheusPlace } from './prometheus-vitals.ts';

/** @param beganAtMs of the wall clock, as `nowMs`. */
export type CountedDrill = (
  beganAtMs: number,
  nowMs: number,
  signal: AbortSignal,
) => Promise<Omit<DrillMeasurements, 'epochHistory'>>;

/** Of the latencies that are compared: before the drill, and at its end. */
const comparedSeconds = 300;
const shortestSeconds = 60;

/** Latency is that of the region where most clients were at the time: they are those who notice. */
export function countedDrill({ regions, urlOf }: PrometheusPlace): CountedDrill {
  return async (beganAtMs, nowMs, signal) => {
    const seconds = Math.max(shortestSeconds, Math.ceil((nowMs - beganAtMs) / 1000));
    const ask = (region: string, query: string): Promise<number | undefined> =>
      askPrometheus(urlOf(region), query, signal);
    /** @param window as Prometheus writes a range: `[60s]`, `[300s] offset 90s`. */
    const sum = (region: string, window: string, more = ''): Promise<number | undefined> =>
      ask(region, `sum(increase(${metricNames.requests}{region="${region}"${more}}${window}))`);
    const p95 = (region: string, window: string): Promise<number | undefined> =>
      ask(
        region,
        `histogram_quantile(0.95, sum by (le) (rate(${metricNames.requestSeconds}_bucket{region="${region}"}${window})))`,
      );
    const latency = async (window: string): Promise<number | undefined> => {
      const seen = await Promise.all(
        regions.map(async (one) => ({ requests: (await sum(one, window)) ?? 0, seconds: await p95(one, window) })),
      );
      return seen.toSorted((one, other) => other.requests - one.requests)[0]?.seconds;
    };
    const total = async (more = ''): Promise<number> => {
      const counts = await Promise.all(regions.map((one) => sum(one, `[${seconds}s]`, more)));
      return counts.reduce<number>((all, one) => all + (one ?? 0), 0);
    };
    const [requests, errors, before, after] = await Promise.all([
      total(),
      total(',status_code=~"5.."'),
      latency(`[${comparedSeconds}s] offset ${seconds}s`),
      latency(`[${shortestSeconds}s]`),
    ]);
    return {
      requests: Math.round(requests),
      errorPercent: requests > 0 ? rounded((100 * errors) / requests) : null,
      addedLatencyMs:
        before === undefined || after === undefined ? null : rounded(Math.max(0, 1000 * (after - before))),
      retriedPercent: null,
      troubleSeconds: null,
      servingGapSeconds: null,
      writeGapSeconds: null,
      dataLossSeconds: null,
      acknowledgedWrites: null,
      lostWrites: null,
      lostWritesList: '',
      spendEventsLost: null,
      spendEventsDoubled: null,
      invariantViolations: null,
      violationsList: '',
    };
  };
}
