import type { Platform } from '../../lib/platform/platform.ts';
import type { ImageName } from '../../lib/platform/spec.ts';
import { versions } from '../../lib/platform/versions.ts';

/**
 * Images of what runs beside the gateway, in one place, each by a tag that is never given twice. Production mirrors them
 * into its own registry and names them by digest in `cluster.images`.
 */
const images: Readonly<Record<ImageName, string>> = {
  pgbouncer: 'docker.io/edoburu/pgbouncer:v1.24.1-p1',
  vllm: 'docker.io/vllm/vllm-openai:v0.11.0',
  agentgateway: 'ghcr.io/agentgateway/agentgateway:0.11.1',
  vault: 'docker.io/hashicorp/vault:1.20.4',
  awsCli: 'public.ecr.aws/aws-cli/aws-cli:2.31.0',
  // As new as the server: an older pg_dump refuses it.
  postgres: `docker.io/library/postgres:${versions.postgres.full}`,
  cloudNativePg: `ghcr.io/cloudnative-pg/postgresql:${versions.postgres.full}-minimal-trixie`,
  kubeStateMetrics: 'registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.17.0',
  postgresExporter: 'quay.io/prometheuscommunity/postgres-exporter:v0.18.1',
  redisExporter: 'docker.io/oliver006/redis_exporter:v1.77.0',
  otelCollector: 'docker.io/otel/opentelemetry-collector-contrib:0.137.0',
  redis: 'docker.io/library/redis:8.2.3',
  k6: 'docker.io/grafana/k6:1.3.0',
  cloudSqlProxy: 'gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.18.2',
};

/** The platform's own choice, else the one of this release. */
export const imageOf = ({ cluster }: Platform, name: ImageName): string => cluster.images[name] ?? images[name];
