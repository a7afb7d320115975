import { describe, expect, it } from 'vitest';
import { countsOf, percentileMs, vitalsOf } from '../../../runbooks/lab/vitals.ts';

const requests = 'litellm_proxy_total_requests_metric_total';
const seconds = 'litellm_request_total_latency_metric';
const text = `# HELP ${requests} of all
${requests}{requested_model="chat",status_code="200"} 90
${requests}{requested_model="chat",status_code="429"} 5
${requests}{requested_model="chat",status_code="503"} 4
${requests}{requested_model="other",status_code="500"} 1
${seconds}_bucket{le="0.1",requested_model="chat"} 90
${seconds}_bucket{le="0.3",requested_model="chat"} 100
${seconds}_bucket{le="+Inf",requested_model="chat"} 100
${seconds}_sum{requested_model="chat"} 9
`;

describe('what a region has counted, from the metrics of its gateways', () => {
  it("counts every request, and as errors those of 5xx: a client's own fault is no fault of the region", () => {
    expect(countsOf(text)).toMatchObject({ requests: 100, errors: 5 });
  });

  it('takes a percentile as evenly spread inside its bucket, and the largest bound for what is slower than all', () => {
    expect(percentileMs(countsOf(text))).toBeCloseTo(200);
    expect(
      percentileMs(
        countsOf(
          text
            .replaceAll('} 100', '} 94')
            .replace('+Inf",requested_model="chat"} 94', '+Inf",requested_model="chat"} 100'),
        ),
      ),
    ).toBeCloseTo(300);
    expect(percentileMs(countsOf(''))).toBeUndefined();
  });

  it('holds latency against a region only as far as it cannot be chance', () => {
    const counts = (slow: number, all: number) => ({
      requests: all,
      errors: 0,
      within: new Map([
        [0.1, all - slow],
        [2, all],
        [Number.POSITIVE_INFINITY, all],
      ]),
    });
    // Of 40 requests 3 are slow: it may be bad luck. Of 400 requests 40 are: it is not.
    expect(vitalsOf(counts(3, 40), counts(8, 360)).addedLatencyMs).toBe(0);
    expect(vitalsOf(counts(40, 400), counts(8, 360)).addedLatencyMs).toBeGreaterThan(100);
  });

  it('compares latency only when there is something to compare with', () => {
    const counted = countsOf(text);
    expect(vitalsOf(counted, counted)).toEqual({ requests: 100, errors: 5, addedLatencyMs: 0 });
    expect(vitalsOf(counted, countsOf('')).addedLatencyMs).toBeUndefined();
  });
});
