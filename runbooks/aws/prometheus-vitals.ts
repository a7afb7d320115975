/** What a region's gateways have counted lately, from the Prometheus that scrapes them. */
import { z } from 'zod';
import { metricNames } from '../../gateway/contract.ts';
import type { CanaryWorld, Vitals } from '../books/canary-world.ts';

export interface PrometheusPlace {
  readonly regions: readonly string[];
  /** Address of the Prometheus that knows a region. @throws when none is known. */
  readonly urlOf: (region: string) => string;
}

const answerSchema = z.object({
  status: z.literal('success'),
  data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }),
});

const patienceMs = 10_000;
/** Less holds fewer than two scrapes of a gateway, and no rate comes of one. */
const shortestWindowSeconds = 60;

export function prometheusVitals({ regions, urlOf }: PrometheusPlace): CanaryWorld['vitals'] {
  return async (region, windowSeconds, signal): Promise<Vitals> => {
    const window = `${Math.max(shortestWindowSeconds, Math.round(windowSeconds))}s`;
    const counted = (name: string, more = ''): Promise<number | undefined> =>
      askPrometheus(urlOf(name), `sum(increase(${metricNames.requests}{region="${name}"${more}}[${window}]))`, signal);
    const p95 = (name: string): Promise<number | undefined> =>
      askPrometheus(
        urlOf(name),
        `histogram_quantile(0.95, sum by (le) (rate(${metricNames.requestSeconds}_bucket{region="${name}"}[${window}])))`,
        signal,
      );
    const [requests = 0, errors = 0, own] = await Promise.all([
      counted(region),
      counted(region, ',status_code=~"5.."'),
      p95(region),
    ]);
    const others = await Promise.all(
      regions
        .filter((one) => one !== region)
        .map(async (one) => ({ requests: (await counted(one)) ?? 0, p95: await p95(one) })),
    );
    // Where most of the other clients are: the few of an idle region say little about it.
    const [busiest] = others.toSorted((one, other) => other.requests - one.requests);
    const addedLatencyMs = own === undefined || busiest?.p95 === undefined ? undefined : 1000 * (own - busiest.p95);
    return { requests: Math.round(requests), errors: Math.round(errors), addedLatencyMs };
  };
}

/** Seconds since the oldest spend event that a gateway of the region has not shipped yet; undefined = none is scraped. */
export const oldestUnshippedSeconds =
  (urlOf: PrometheusPlace['urlOf']) =>
  (region: string, signal: AbortSignal): Promise<number | undefined> =>
    askPrometheus(urlOf(region), `max(${metricNames.outboxOldestSeconds}{region="${region}"})`, signal);

/** Its path is kept, for a Prometheus behind a proxy; so are user and password, of which `fetch` would tell in an error. */
function asked(url: string, query: string): { readonly address: URL; readonly headers: Record<string, string> } {
  const address = new URL(url);
  const login = [address.username, address.password].map(decodeURIComponent).join(':');
  address.username = '';
  address.password = '';
  address.pathname = `${address.pathname.replace(/\/+$/, '')}/api/v1/query`;
  address.searchParams.set('query', query);
  return { address, headers: login === ':' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` } };
}

/** One instant query. @returns undefined when nothing was counted. */
export async function askPrometheus(url: string, query: string, signal: AbortSignal): Promise<number | undefined> {
  const { address, headers } = asked(url, query);
  const stop = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
  const response = await fetch(address, { headers, signal: stop });
  if (!response.ok) throw new Error(`Prometheus at ${address.origin} answers ${response.status}`);
  const { data } = answerSchema.parse(await response.json());
  const value = Number(data.result[0]?.value[1]);
  return Number.isFinite(value) ? value : undefined;
}
