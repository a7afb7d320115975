/**
 * Your platform: the one file to edit. `npm run synth` shows what it becomes; no AWS account is needed for that.
 * Every field is explained where it is declared: lib/platform/spec.ts.
 */
import { definePlatform } from './lib/platform/platform.ts';

export default definePlatform({
  name: 'holdfast',
  environment: 'production',
  account: '111111111111',
  domain: 'gateway.example.com',
  hostedZone: { name: 'example.com', id: 'Z0123456789EXAMPLE' },
  tier: 'high',
  topology: 'active-passive',
  regions: [
    { region: 'us-east-1', role: 'primary', zones: ['a', 'b', 'c'], cidr: '10.0.0.0/16', gatewayReplicas: 3 },
    { region: 'us-west-2', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.1.0.0/16', gatewayReplicas: 3 },
    { region: 'eu-west-1', role: 'standby', zones: ['a', 'b', 'c'], cidr: '10.2.0.0/16', gatewayReplicas: 2 },
  ],
  cluster: {
    // Beside the gateway; without `vllm`, which needs GPUs. `monitoring` needs the Prometheus operator, drills Chaos Mesh.
    addons: ['vault', 'pgbouncer', 'agentgateway', 'exporters', 'telemetry', 'monitoring', 'backup', 'drills'],
  },
  image: 'ghcr.io/holdfast/gateway:0.1.0',
  tags: { team: 'platform' },
});
