import type { Chart } from 'cdk8s';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import { imageOf } from '../blocks/images.ts';
import { reach, reachStores, resolveNames, serve } from '../blocks/traffic.ts';
import { tcpProbe, workload } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/**
 * Hundreds of gateways' connections over a few of PostgreSQL's. The gateway works with transaction pooling: it keeps
 * nothing in a session. Host and users come from a Secret (`databases.ini`, `userlist.txt`), since they are made by AWS.
 */
const settings = `[databases]
%include /etc/pgbouncer/secret/databases.ini

[pgbouncer]
listen_addr = 0.0.0.0
listen_port = ${ports.pgbouncer}
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/secret/userlist.txt

pool_mode = transaction
max_client_conn = 1000
default_pool_size = 25
reserve_pool_size = 5
reserve_pool_timeout = 3
; Named statements of the client library, across the connections of the pool.
max_prepared_statements = 200

server_idle_timeout = 600
server_lifetime = 3600
server_connect_timeout = 15
; A client must not wait for a connection for longer than it would wait for an answer.
query_wait_timeout = 10
; PostgreSQL refuses connections while it fails over: ask again soon, or the pool stays empty for 15 seconds.
server_login_retry = 1
ignore_startup_parameters = extra_float_digits
logfile =
pidfile =
`;

export function pgbouncerChart({ platform, region }: ChartInput): Chart {
  return newChart(
    'pgbouncer',
    workload({
      platform,
      component: 'pgbouncer',
      image: imageOf(platform, 'pgbouncer'),
      replicas: platform.tier.zones,
      files: { 'pgbouncer.ini': settings },
      amounts: { cpu: '250m', memory: '256Mi', 'ephemeral-storage': '64Mi' },
      // From 1.23 on SIGTERM takes no new clients and waits until the present ones have left; those that have not by then
      // are idle, since the gateway's longest transaction takes seconds.
      stopSeconds: 30,
      container: {
        command: ['pgbouncer', '/etc/pgbouncer/pgbouncer.ini'],
        ports: [{ name: 'postgres', containerPort: ports.pgbouncer, protocol: 'TCP' }],
        readinessProbe: tcpProbe('postgres', { periodSeconds: 5, failureThreshold: 2 }),
        livenessProbe: tcpProbe('postgres', { periodSeconds: 10, failureThreshold: 3 }),
        volumeMounts: [
          { name: 'config', mountPath: '/etc/pgbouncer/pgbouncer.ini', subPath: 'pgbouncer.ini', readOnly: true },
          { name: 'secret', mountPath: '/etc/pgbouncer/secret', readOnly: true },
        ],
      },
      pod: {
        volumes: [
          { name: 'config', configMap: { name: kubernetes.pgbouncer } },
          { name: 'secret', secret: { secretName: kubernetes.pgbouncerSecret } },
        ],
      },
      ingress: [serve(platform, ['gateway', 'migration'], ports.pgbouncer)],
      egress: [
        ...resolveNames(),
        ...reachStores(platform, region),
        ...(platform.cluster.addons.includes('postgres') ? [reach(platform, 'postgres', ports.postgres)] : []),
      ],
    }),
  );
}
