/** Alerts on whether clients get answers. */
import { metricNames } from '../../gateway/contract.ts';
import type { Alert } from './alert.ts';
import { gatewayJob } from './scope.ts';

const requests = metricNames.requests;
const attempts = metricNames.upstreamAttempts;

export const servingAlerts: readonly Alert[] = [
  {
    name: 'InstanceDown',
    expression: `up{${gatewayJob}} == 0`,
    forSeconds: 120,
    severity: 'critical',
    summary: 'Gateway {{ $labels.instance }} does not answer',
    firstResponse:
      'A pod that exists cannot be scraped: it hangs, or its node is cut off. The others serve. `kubectl -n holdfast get pods -o wide`, then `kubectl -n holdfast logs POD --previous`. If its node is NotReady and does not come back, drain it; with persistent outboxes (tier critical) taint it `node.kubernetes.io/out-of-service=nodeshutdown:NoExecute`, so that its volume moves to the replacement.',
    origin: 'LiteLLM: High availability',
  },
  {
    // InstanceDown needs a target. When the last pod goes, so does its series, and nothing equals 0 any more.
    name: 'GatewayAbsent',
    expression: `absent(up{${gatewayJob}})`,
    forSeconds: 120,
    severity: 'critical',
    summary: 'Prometheus finds no gateway at all',
    firstResponse:
      'No pod, or no ServiceMonitor. `kubectl -n holdfast get deploy,sts,pods,events`. If clients get answers, only the monitoring is broken: `kubectl -n holdfast get servicemonitor,endpoints`. If not, the region is out: Route 53 has already moved clients elsewhere if there is another region.',
    runbook: 'region-failover',
    origin: 'Holdfast',
  },
  {
    // The original counts every answer that is not a success, so that one client with a wrong key pages somebody; and by
    // a metric with a label `status` that no LiteLLM has. Only what is our fault or a provider's counts: 5xx.
    name: 'HighErrorRate',
    expression: `sum by (region) (rate(${requests}{${gatewayJob},status_code=~"5.."}[5m])) / sum by (region) (rate(${requests}{${gatewayJob}}[5m])) > 0.01`,
    forSeconds: 300,
    severity: 'critical',
    summary: 'Error rate above 1% in {{ $labels.region }} ({{ $value | humanizePercentage }})',
    firstResponse: `Which model group: \`topk(5, sum by (requested_model, status_code) (rate(${requests}{status_code=~"5.."}[5m])))\`. Which deployment: \`topk(5, sum by (model_id, outcome) (rate(${attempts}{outcome!="success"}[5m])))\`. If one provider fails, add a fallback for its group in config.yaml; the gateway already avoids its deployments. If 503 with few attempts, the gateways are overloaded or draining.`,
    origin: 'LiteLLM: High availability',
  },
  {
    // The original sums series of healthy deployments: without one the sum is empty, not 0, and it never fires. And no
    // state can tell: a cooldown never takes a group's last deployment out. So: attempts are made and none succeeds. The
    // `unless` covers a counter of successes that does not exist yet.
    name: 'AllProvidersDown',
    expression: `sum by (region) (rate(${attempts}{${gatewayJob}}[2m])) > 0 unless sum by (region) (rate(${attempts}{${gatewayJob},outcome="success"}[2m])) > 0`,
    forSeconds: 120,
    severity: 'critical',
    summary: 'No provider answers from {{ $labels.region }}',
    firstResponse: `Every attempt at every deployment fails. By outcome: \`sum by (outcome) (rate(${attempts}[2m]))\`. Only connection errors: egress (NAT, NetworkPolicy, DNS) of this region is broken; other regions serve, move traffic there. Authentication errors: a rotated key has not arrived, look at the Secret. Rate limits: the account's quota.`,
    runbook: 'region-failover',
    origin: 'LiteLLM: High availability',
  },
  {
    // The original needs a label `region` that scraping does not give (external labels are added when data leaves
    // Prometheus, rules never see them): the ServiceMonitor sets it on every target.
    name: 'RegionHealthDegraded',
    expression: `sum by (region) (up{${gatewayJob}}) / count by (region) (up{${gatewayJob}}) < 0.8`,
    forSeconds: 300,
    severity: 'critical',
    summary: 'Region {{ $labels.region }} health < 80%',
    firstResponse:
      'More than a fifth of the gateways does not answer. `kubectl -n holdfast get pods -o wide`: all in one zone means a zone is impaired; start a zonal shift (EKS and the load balancer follow it). Spread over zones means a bad release: `kubectl -n holdfast rollout undo deployment/gateway` (statefulset/gateway in tier critical).',
    runbook: 'region-failover',
    origin: 'High availability patterns',
  },
];
