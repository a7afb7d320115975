/**
 * The manifests of the three public documents that this platform is held against, field by field: where ours has it, with
 * which value, or why it has not. Where the documents differ the first two win.
 */
export type Parity = Kept | Changed;

interface Row {
  /** Manifest and field as the document has them. */
  readonly field: string;
  readonly value: unknown;
}

interface Kept extends Row {
  /** Platform (see the test), then kind, name and path of ours. */
  readonly at: readonly [platform: string, kind: string, name: string, path: string];
  /** Ours, if it is another than the document's. */
  readonly ours?: unknown;
  /** Needed wherever `ours` is given. */
  readonly because?: string;
}

interface Changed extends Row {
  readonly because: string;
}

const gatewayPod = 'spec.template.spec';
const container = `${gatewayPod}.containers.0`;
const hpa = (path: string): Kept['at'] => ['high', 'HorizontalPodAutoscaler', 'gateway', path];
const keda = (path: string): Kept['at'] => ['critical', 'ScaledObject', 'gateway', path];
const gateway = (path: string): Kept['at'] => ['high', 'Deployment', 'gateway', path];
const nginx = (path: string): Kept['at'] => ['nginx', 'Ingress', 'gateway', path];
const database = (path: string): Kept['at'] => ['generic', 'Cluster', 'postgres-us-east-1', path];
const standby = (path: string): Kept['at'] => ['generic-standby', 'Cluster', 'postgres-us-west-2', path];
/** A name of ours in the place of the document's. */
const named = (field: string, value: unknown, at: Kept['at'], ours: unknown): Kept => ({
  field,
  value,
  at,
  ours,
  because: ourNames,
});
const component = 'app¹kubernetes¹io/component';
const ourNames = 'the product has names of its own, and labels by Kubernetes’ convention';

/** LiteLLM: High availability. */
export const litellm: readonly Parity[] = [
  { field: 'Ingress kubernetes.io/ingress.class', value: 'nginx', at: nginx('spec.ingressClassName') },
  {
    field: 'Ingress ssl-redirect',
    value: 'true',
    at: nginx('metadata.annotations.nginx¹ingress¹kubernetes¹io/ssl-redirect'),
  },
  {
    field: 'Ingress upstream-hash-by',
    value: '$binary_remote_addr',
    at: nginx('metadata.annotations.nginx¹ingress¹kubernetes¹io/upstream-hash-by'),
  },
  {
    field: 'Ingress load-balance',
    value: 'ewma',
    at: nginx('metadata.annotations.nginx¹ingress¹kubernetes¹io/load-balance'),
  },
  {
    field: 'Ingress tls.hosts',
    value: 'api.yourdomain.com',
    at: nginx('spec.tls.0.hosts.0'),
    ours: 'gateway.example.com',
    because: 'the platform’s own domain',
  },
  {
    field: 'Ingress tls.secretName',
    value: 'litellm-tls',
    at: nginx('spec.tls.0.secretName'),
    ours: 'gateway-tls',
    because: ourNames,
  },
  named('Ingress metadata.name', 'litellm-ingress', nginx('metadata.name'), 'gateway'),
  {
    field: 'Ingress rules.host',
    value: 'api.yourdomain.com',
    at: nginx('spec.rules.0.host'),
    ours: 'gateway.example.com',
    because: 'the platform’s own domain; a second rule has the region’s',
  },
  { field: 'Ingress path', value: '/', at: nginx('spec.rules.0.http.paths.0.path') },
  { field: 'Ingress pathType', value: 'Prefix', at: nginx('spec.rules.0.http.paths.0.pathType') },
  {
    field: 'Ingress service',
    value: 'litellm',
    at: nginx('spec.rules.0.http.paths.0.backend.service.name'),
    ours: 'gateway',
    because: ourNames,
  },
  {
    field: 'Ingress port',
    value: 4000,
    at: nginx('spec.rules.0.http.paths.0.backend.service.port.number'),
    ours: 80,
    because: 'the Service’s port; the pods’ is 4000',
  },
  { field: 'HPA target', value: 'litellm', at: hpa('spec.scaleTargetRef.name'), ours: 'gateway', because: ourNames },
  named('HPA metadata.name', 'litellm-hpa', hpa('metadata.name'), 'gateway'),
  { field: 'HPA scaleTargetRef.apiVersion', value: 'apps/v1', at: hpa('spec.scaleTargetRef.apiVersion') },
  { field: 'HPA CPU type', value: 'Resource', at: hpa('spec.metrics.0.type') },
  { field: 'HPA CPU name', value: 'cpu', at: hpa('spec.metrics.0.resource.name') },
  { field: 'HPA CPU target', value: 'Utilization', at: hpa('spec.metrics.0.resource.target.type') },
  { field: 'HPA memory type', value: 'Resource', at: hpa('spec.metrics.1.type') },
  { field: 'HPA memory name', value: 'memory', at: hpa('spec.metrics.1.resource.name') },
  { field: 'HPA memory target', value: 'Utilization', at: hpa('spec.metrics.1.resource.target.type') },
  { field: 'HPA kind', value: 'Deployment', at: hpa('spec.scaleTargetRef.kind') },
  { field: 'HPA minReplicas', value: 3, at: hpa('spec.minReplicas') },
  { field: 'HPA maxReplicas', value: 20, at: hpa('spec.maxReplicas') },
  { field: 'HPA CPU', value: 70, at: hpa('spec.metrics.0.resource.target.averageUtilization') },
  { field: 'HPA memory', value: 80, at: hpa('spec.metrics.1.resource.target.averageUtilization') },
  { field: 'HPA scaleDown window', value: 300, at: hpa('spec.behavior.scaleDown.stabilizationWindowSeconds') },
  {
    field: 'HPA scaleDown policy',
    value: { type: 'Pods', value: 1, periodSeconds: 60 },
    at: hpa('spec.behavior.scaleDown.policies.0'),
  },
  { field: 'HPA scaleUp window', value: 60, at: hpa('spec.behavior.scaleUp.stabilizationWindowSeconds') },
  {
    field: 'HPA scaleUp policy',
    value: { type: 'Pods', value: 2, periodSeconds: 60 },
    at: hpa('spec.behavior.scaleUp.policies.0'),
  },
  { field: 'KEDA target', value: 'litellm', at: keda('spec.scaleTargetRef.name'), ours: 'gateway', because: ourNames },
  {
    field: 'KEDA minReplicaCount',
    value: 3,
    at: keda('spec.minReplicaCount'),
    ours: 7,
    because: 'the tier’s six and one for updates',
  },
  named('KEDA metadata.name', 'litellm-scaler', keda('metadata.name'), 'gateway'),
  { field: 'KEDA first trigger', value: 'prometheus', at: keda('spec.triggers.0.type') },
  {
    field: 'KEDA second trigger',
    value: 'rabbitmq',
    at: keda('spec.triggers.1.type'),
    ours: 'prometheus',
    because: 'the gateway has no broker: its queue is the requests that run, which it reports itself',
  },
  { field: 'KEDA third trigger', value: 'cpu', at: keda('spec.triggers.2.type') },
  { field: 'KEDA maxReplicaCount', value: 50, at: keda('spec.maxReplicaCount') },
  { field: 'KEDA pollingInterval', value: 15, at: keda('spec.pollingInterval') },
  { field: 'KEDA cooldownPeriod', value: 300, at: keda('spec.cooldownPeriod') },
  { field: 'KEDA request rate threshold', value: '1000', at: keda('spec.triggers.0.metadata.threshold') },
  {
    field: 'KEDA serverAddress',
    value: 'http://prometheus:9090',
    at: keda('spec.triggers.0.metadata.serverAddress'),
    ours: 'http://prometheus-operated.monitoring:9090',
    because: 'where the operator puts it; cluster.prometheusUrl says otherwise',
  },
  {
    field: 'KEDA metricName',
    value: 'litellm_requests_per_second',
    because: 'KEDA removed the field; it names metrics itself',
  },
  {
    field: 'KEDA query',
    value: 'litellm_requests_total',
    because: 'no such metric: ours is litellm_proxy_total_requests_metric_total',
  },
  {
    field: 'KEDA rabbitmq queue',
    value: 'litellm-requests',
    because: 'the gateway has no broker: its queue is the requests that run',
  },
  {
    field: 'KEDA rabbitmq queueLength',
    value: '50',
    because: 'running requests are not jobs: 250 of them fit a pod’s memory',
  },
  { field: 'KEDA cpu', value: '70', at: keda('spec.triggers.2.metadata.value') },
  { field: 'KEDA cpu metadataType', value: 'Utilization', at: keda('spec.triggers.2.metricType') },
  named(
    'PodChaos metadata.name',
    'litellm-pod-failure',
    ['high', 'PodChaos', 'gateway-pod-failure', 'metadata.name'],
    'gateway-pod-failure',
  ),
  named(
    'PodChaos labelSelectors.app',
    'litellm',
    ['high', 'PodChaos', 'gateway-pod-failure', `spec.selector.labelSelectors.${component}`],
    'gateway',
  ),
  { field: 'PodChaos action', value: 'pod-failure', at: ['high', 'PodChaos', 'gateway-pod-failure', 'spec.action'] },
  { field: 'PodChaos mode', value: 'one', at: ['high', 'PodChaos', 'gateway-pod-failure', 'spec.mode'] },
  { field: 'PodChaos duration', value: '30s', at: ['high', 'PodChaos', 'gateway-pod-failure', 'spec.duration'] },
  {
    field: 'PodChaos namespace',
    value: 'litellm',
    at: ['high', 'PodChaos', 'gateway-pod-failure', 'spec.selector.namespaces.0'],
    ours: 'holdfast',
    because: ourNames,
  },
];

/** High availability patterns. */
export const patterns: readonly Parity[] = [
  named('Deployment metadata.name', 'litellm', gateway('metadata.name'), 'gateway'),
  named('Deployment container name', 'litellm', gateway(`${container}.name`), 'gateway'),
  named(
    'Deployment topologySpreadConstraints.labelSelector',
    'app: litellm',
    gateway(`${gatewayPod}.topologySpreadConstraints.0.labelSelector.matchLabels.${component}`),
    'gateway',
  ),
  named(
    'Deployment podAntiAffinity.labelSelector',
    'app: litellm',
    gateway(
      `${gatewayPod}.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution.0.podAffinityTerm.labelSelector.matchLabels.${component}`,
    ),
    'gateway',
  ),
  named(
    'litellm-pdb metadata.name',
    'litellm-pdb',
    ['high', 'PodDisruptionBudget', 'gateway', 'metadata.name'],
    'gateway',
  ),
  named(
    'litellm-pdb selector',
    'app: litellm',
    ['high', 'PodDisruptionBudget', 'gateway', `spec.selector.matchLabels.${component}`],
    'gateway',
  ),
  {
    field: 'postgres-pdb name and selector',
    value: 'app: postgresql',
    because: 'CloudNativePG makes the budget and its selector',
  },
  {
    field: 'readiness port',
    value: 4000,
    at: gateway(`${container}.readinessProbe.httpGet.port`),
    ours: 'http',
    because: 'the name of the port 4000',
  },
  {
    field: 'startup port',
    value: 4000,
    at: gateway(`${container}.startupProbe.httpGet.port`),
    ours: 'http',
    because: 'the name of the port 4000',
  },
  { field: 'Deployment replicas', value: 3, because: 'the autoscaler owns the number; its least is 3' },
  {
    field: 'Deployment required podAntiAffinity by zone',
    value: 'topology.kubernetes.io/zone',
    because: 'it allows one pod for each zone and would stop the autoscaler at three; a wish by host is there instead',
  },
  { field: 'Deployment maxSkew', value: 1, at: gateway(`${gatewayPod}.topologySpreadConstraints.0.maxSkew`) },
  {
    field: 'Deployment topologyKey',
    value: 'topology.kubernetes.io/zone',
    at: gateway(`${gatewayPod}.topologySpreadConstraints.0.topologyKey`),
  },
  {
    field: 'Deployment whenUnsatisfiable',
    value: 'DoNotSchedule',
    at: gateway(`${gatewayPod}.topologySpreadConstraints.0.whenUnsatisfiable`),
  },
  { field: 'litellm-pdb minAvailable', value: 2, at: ['high', 'PodDisruptionBudget', 'gateway', 'spec.minAvailable'] },
  {
    field: 'postgres-pdb maxUnavailable',
    value: 1,
    at: database('spec.enablePDB'),
    ours: true,
    because: 'CloudNativePG keeps the budget itself and knows which instance leads',
  },
  { field: 'liveness path', value: '/health/liveliness', at: gateway(`${container}.livenessProbe.httpGet.path`) },
  { field: 'liveness port', value: 4000, at: gateway(`${container}.ports.0.containerPort`) },
  { field: 'liveness initialDelaySeconds', value: 30, at: gateway(`${container}.livenessProbe.initialDelaySeconds`) },
  { field: 'liveness periodSeconds', value: 10, at: gateway(`${container}.livenessProbe.periodSeconds`) },
  { field: 'liveness timeoutSeconds', value: 5, at: gateway(`${container}.livenessProbe.timeoutSeconds`) },
  { field: 'liveness failureThreshold', value: 3, at: gateway(`${container}.livenessProbe.failureThreshold`) },
  { field: 'readiness path', value: '/health/readiness', at: gateway(`${container}.readinessProbe.httpGet.path`) },
  { field: 'readiness initialDelaySeconds', value: 10, at: gateway(`${container}.readinessProbe.initialDelaySeconds`) },
  { field: 'readiness periodSeconds', value: 5, at: gateway(`${container}.readinessProbe.periodSeconds`) },
  { field: 'readiness timeoutSeconds', value: 3, at: gateway(`${container}.readinessProbe.timeoutSeconds`) },
  { field: 'readiness failureThreshold', value: 2, at: gateway(`${container}.readinessProbe.failureThreshold`) },
  { field: 'startup path', value: '/health', at: gateway(`${container}.startupProbe.httpGet.path`) },
  { field: 'startup initialDelaySeconds', value: 10, at: gateway(`${container}.startupProbe.initialDelaySeconds`) },
  { field: 'startup periodSeconds', value: 5, at: gateway(`${container}.startupProbe.periodSeconds`) },
  { field: 'startup failureThreshold', value: 30, at: gateway(`${container}.startupProbe.failureThreshold`) },
  named('Cluster metadata.name', 'postgres-primary', database('metadata.name'), 'postgres-us-east-1'),
  named('Cluster metadata.namespace', 'ai-gateway', database('metadata.namespace'), 'holdfast'),
  {
    field: 'Cluster connectionParameters.user and dbname',
    value: 'replication, litellm',
    because: 'regions follow by the archive, which has no users',
  },
  named(
    'Cluster s3Credentials.accessKeyId.name',
    'aws-creds',
    ['generic', 'ObjectStore', 'postgres-us-west-2', 'spec.configuration.s3Credentials.accessKeyId.name'],
    'object-store-secrets',
  ),
  named(
    'Cluster s3Credentials.secretAccessKey.name',
    'aws-creds',
    ['generic', 'ObjectStore', 'postgres-us-west-2', 'spec.configuration.s3Credentials.secretAccessKey.name'],
    'object-store-secrets',
  ),
  {
    field: 'Cluster s3Credentials.secretAccessKey.key',
    value: 'SECRET_ACCESS_KEY',
    at: ['generic', 'ObjectStore', 'postgres-us-west-2', 'spec.configuration.s3Credentials.secretAccessKey.key'],
  },
  named('Cluster (recovery) metadata.name', 'postgres-dr', standby('metadata.name'), 'postgres-us-west-2'),
  { field: 'Cluster (recovery) instances', value: 3, at: standby('spec.instances') },
  named(
    'Cluster (recovery) externalClusters.name',
    'postgres-backup',
    standby('spec.externalClusters.0.name'),
    'postgres-us-east-1',
  ),
  {
    field: 'Cluster (recovery) destinationPath',
    value: '$BACKUP_BUCKET/postgres/',
    at: ['generic-standby', 'ObjectStore', 'postgres-us-east-1', 'spec.configuration.destinationPath'],
    ours: 's3://holdfast-production-us-east-1-backup-111111111111/cloudnative-pg/',
    because: 'each region has an archive of its own, and every other reads it',
  },
  {
    field: 'Cluster (recovery) s3Credentials',
    value: 'aws-creds',
    at: ['generic-standby', 'ObjectStore', 'postgres-us-east-1', 'spec.configuration.s3Credentials.accessKeyId'],
    ours: { name: 'object-store-secrets', key: 'ACCESS_KEY_ID' },
    because: ourNames,
  },
  { field: 'Cluster instances', value: 3, at: database('spec.instances') },
  { field: 'Cluster max_connections', value: '200', at: database('spec.postgresql.parameters.max_connections') },
  { field: 'Cluster shared_buffers', value: '2GB', at: database('spec.postgresql.parameters.shared_buffers') },
  { field: 'Cluster wal_level', value: 'logical', at: database('spec.postgresql.parameters.wal_level') },
  { field: 'Cluster max_wal_senders', value: '10', at: database('spec.postgresql.parameters.max_wal_senders') },
  {
    field: 'Cluster max_replication_slots',
    value: '10',
    at: database('spec.postgresql.parameters.max_replication_slots'),
  },
  {
    field: 'Cluster initdb database',
    value: 'litellm',
    at: database('spec.bootstrap.initdb.database'),
    ours: 'holdfast',
    because: ourNames,
  },
  {
    field: 'Cluster initdb owner',
    value: 'litellm',
    at: database('spec.bootstrap.initdb.owner'),
    ours: 'holdfast',
    because: ourNames,
  },
  {
    field: 'Cluster storage size',
    value: '500Gi',
    at: database('spec.storage.size'),
    ours: '200Gi',
    because: 'the tier’s; critical has 500Gi',
  },
  {
    field: 'Cluster storageClass',
    value: 'gp3',
    because: 'a class of EKS, where ours is of that type; elsewhere the cluster’s default',
  },
  {
    field: 'Cluster replica.enabled and source of itself',
    value: true,
    at: database('spec.replica.primary'),
    ours: 'postgres-us-east-1',
    because: 'a primary that follows itself never accepts writes; `primary` names who writes, for all regions alike',
  },
  {
    field: 'Cluster externalClusters',
    value: 'postgres-secondary-us-west-2',
    at: database('spec.externalClusters.1.name'),
    ours: 'postgres-us-west-2',
    because: ourNames,
  },
  {
    field: 'Cluster connectionParameters',
    value: 'postgres.us-west-2.internal',
    because: 'regions follow by the archive, so that no database port is open between them',
  },
  {
    field: 'Cluster barmanObjectStore.destinationPath',
    value: 's3://postgres-backup-us-west-2/',
    at: ['generic', 'ObjectStore', 'postgres-us-west-2', 'spec.configuration.destinationPath'],
    ours: 's3://holdfast-production-us-west-2-backup-111111111111/cloudnative-pg/',
    because: 'moved to the plugin, since 1.26 deprecates the old place',
  },
  {
    field: 'Cluster s3Credentials.accessKeyId.key',
    value: 'ACCESS_KEY_ID',
    at: ['generic', 'ObjectStore', 'postgres-us-west-2', 'spec.configuration.s3Credentials.accessKeyId.key'],
  },
  {
    field: 'Cluster (recovery) bootstrap.recovery.source',
    value: 'postgres-backup',
    at: standby('spec.bootstrap.recovery.source'),
    ours: 'postgres-us-east-1',
    because: ourNames,
  },
  {
    field: 'Cluster (recovery) wal.maxParallel',
    value: 8,
    at: ['generic', 'ObjectStore', 'postgres-us-east-1', 'spec.configuration.wal.maxParallel'],
  },
];

/** Deployment guide. */
export const guide: readonly Parity[] = [
  {
    field: 'Deployment replicas',
    value: 3,
    at: ['standard', 'HorizontalPodAutoscaler', 'gateway', 'spec.minReplicas'],
  },
  named('Deployment metadata.name', 'routeiq-gateway', gateway('metadata.name'), 'gateway'),
  named('Deployment selector', 'app: routeiq-gateway', gateway(`spec.selector.matchLabels.${component}`), 'gateway'),
  named(
    'Deployment pod labels',
    'app: routeiq-gateway',
    gateway(`spec.template.metadata.labels.${component}`),
    'gateway',
  ),
  { field: 'Deployment container name', value: 'gateway', at: gateway(`${container}.name`) },
  {
    field: 'Deployment image',
    value: 'ghcr.io/baladithyab/litellm-llm-router:latest',
    at: gateway(`${container}.image`),
    ours: `ghcr.io/holdfast/gateway@sha256:${'ab'.repeat(32)}`,
    because: 'the platform’s image; `latest` is another one every day',
  },
  { field: 'runAsNonRoot', value: true, at: gateway(`${gatewayPod}.securityContext.runAsNonRoot`) },
  { field: 'runAsUser', value: 1000, at: gateway(`${gatewayPod}.securityContext.runAsUser`) },
  {
    field: 'fsGroup',
    value: 2000,
    at: gateway(`${gatewayPod}.securityContext.fsGroup`),
    ours: 1000,
    because: 'the image’s own group',
  },
  { field: 'containerPort', value: 4000, at: gateway(`${container}.ports.0.containerPort`) },
  {
    field: 'env DATABASE_URL secretKeyRef',
    value: 'routeiq-secrets',
    at: gateway(`${container}.envFrom.0.secretRef.name`),
    ours: 'gateway-secrets',
    because: 'all of the Secret, since provider keys stand in it too',
  },
  {
    field: 'env DATABASE_URL secretKeyRef.key',
    value: 'database-url',
    because: 'the Secret’s keys are the variables’ names, so that none is listed twice',
  },
  named('volumeMounts.name', 'config-volume', gateway(`${container}.volumeMounts.0.name`), 'config'),
  named('volumes.name', 'config-volume', gateway(`${gatewayPod}.volumes.0.name`), 'config'),
  {
    field: 'readiness port',
    value: 4000,
    at: gateway(`${container}.readinessProbe.httpGet.port`),
    ours: 'http',
    because: 'the name of the port 4000',
  },
  { field: 'env REDIS_HOST', value: 'redis-master', because: 'REDIS_URL is in the Secret: it holds the password' },
  {
    field: 'mountPath',
    value: '/app/config',
    at: gateway(`${container}.volumeMounts.0.mountPath`),
    ours: '/app/config/config.yaml',
    because: 'one file, which does not change under a running pod',
  },
  {
    field: 'readiness path, delay, period',
    value: '/health/ready',
    because: 'the second document’s win; the path answers all the same',
  },
  {
    field: 'config volume',
    value: 'routeiq-config',
    at: gateway(`${gatewayPod}.volumes.0.configMap.name`),
    ours: 'gateway-config',
    because: ourNames,
  },
  {
    field: 'HPA minReplicas',
    value: 2,
    because: 'its own Deployment has three; two cannot lose one in an update of a node',
  },
  named('HPA metadata.name', 'routeiq-gateway-hpa', hpa('metadata.name'), 'gateway'),
  { field: 'HPA scaleTargetRef.apiVersion', value: 'apps/v1', at: hpa('spec.scaleTargetRef.apiVersion') },
  { field: 'HPA scaleTargetRef.kind', value: 'Deployment', at: hpa('spec.scaleTargetRef.kind') },
  named('HPA scaleTargetRef.name', 'routeiq-gateway', hpa('spec.scaleTargetRef.name'), 'gateway'),
  { field: 'HPA CPU', value: 70, at: hpa('spec.metrics.0.resource.target.averageUtilization') },
  { field: 'HPA memory', value: 80, at: hpa('spec.metrics.1.resource.target.averageUtilization') },
  { field: 'HPA maxReplicas', value: 10, at: ['standard', 'HorizontalPodAutoscaler', 'gateway', 'spec.maxReplicas'] },
  {
    field: 'Job helm.sh/hook',
    value: 'pre-install,pre-upgrade',
    at: ['high', 'Job', 'migration', 'metadata.annotations.helm¹sh/hook'],
  },
  {
    field: 'Job helm.sh/hook-weight',
    value: '-1',
    at: ['high', 'Job', 'migration', 'metadata.annotations.helm¹sh/hook-weight'],
  },
  {
    field: 'Job metadata.name',
    value: 'routeiq-db-migrate',
    because: 'named after the image as well: a Job cannot be changed, so each release has its own',
  },
  { field: 'Job container name', value: 'migrate', at: ['high', 'Job', 'migration', `${container}.name`] },
  {
    field: 'Job image',
    value: 'ghcr.io/baladithyab/litellm-llm-router:latest',
    at: ['high', 'Job', 'migration', `${container}.image`],
    ours: `ghcr.io/holdfast/gateway@sha256:${'ab'.repeat(32)}`,
    because: 'the image of the gateways that follow it',
  },
  {
    field: 'Job env DATABASE_URL',
    value: 'database-url',
    at: ['high', 'Job', 'migration', `${container}.env.4.valueFrom.secretKeyRef.key`],
    ours: 'DIRECT_DATABASE_URL',
    because: 'past PgBouncer where there is one: the lock of a migration belongs to a session',
  },
  { field: 'Job restartPolicy', value: 'Never', at: ['high', 'Job', 'migration', 'spec.template.spec.restartPolicy'] },
  {
    field: 'Job backoffLimit',
    value: 3,
    at: ['high', 'Job', 'migration', 'spec.backoffLimit'],
    ours: 6,
    because: 'a database that fails over is away for longer than three tries last',
  },
  {
    field: 'Job command',
    value: '/bin/bash -c prisma migrate deploy',
    because: 'the gateway brings its own migrations and needs no shell',
  },
];
