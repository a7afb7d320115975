/**
 * Images of what runs beside the gateway, in one place. Tags for reading; production mirrors them into its own registry
 * and pins them by digest.
 */
export const images = {
  pgbouncer: 'docker.io/edoburu/pgbouncer:v1.24.1-p1',
  vllm: 'docker.io/vllm/vllm-openai:v0.11.0',
  agentgateway: 'ghcr.io/agentgateway/agentgateway:0.11.1',
  vault: 'docker.io/hashicorp/vault:1.20.4',
  awsCli: 'public.ecr.aws/aws-cli/aws-cli:2.31.0',
  postgres: 'docker.io/library/postgres:18',
  kubeStateMetrics: 'registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0',
  postgresExporter: 'quay.io/prometheuscommunity/postgres-exporter:v0.18.1',
  redisExporter: 'docker.io/oliver006/redis_exporter:v1.77.0',
  otelCollector: 'docker.io/otel/opentelemetry-collector-contrib:0.137.0',
  redis: 'docker.io/library/redis:8.2',
  k6: 'docker.io/grafana/k6:1.3.0',
  cloudSqlProxy: 'gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.18.2',
} as const;
