import type { Chart } from 'cdk8s';
import { k8s } from 'cdk8s-plus-28';
import { stringify } from 'yaml';
import { gatewayPort, longestStreamSeconds } from '../../gateway/contract.ts';
import { kubernetes, ports } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { imageOf } from '../blocks/images.ts';
import { reach, reachTheWorld, reachUrls, resolveNames, serve } from '../blocks/traffic.ts';
import { httpProbe, workload } from '../blocks/workload.ts';
import { type ChartInput, newChart } from './region-chart.ts';

/**
 * The door for agents: what the gateway is for models, this is for tools. It joins the MCP servers of the platform under
 * one address, asks for a key, limits the rate, and passes everything about models on to the gateway, which keeps
 * deciding, counting and billing. Applications that only call models need no part of it.
 */
export function agentgatewayChart({ platform }: ChartInput): Chart {
  const { addons } = platform.cluster;
  return newChart(
    'agentgateway',
    workload({
      platform,
      component: 'agentgateway',
      image: imageOf(platform, 'agentgateway'),
      // One for each zone.
      replicas: Math.max(platform.tier.zones, 2),
      files: { 'config.yaml': stringify(configOf(platform)) },
      amounts: { cpu: '250m', memory: '256Mi', 'ephemeral-storage': '64Mi' },
      stopSeconds: longestStreamSeconds,
      container: {
        args: ['-f', '/etc/agentgateway/config.yaml'],
        ports: [
          { name: 'agents', containerPort: ports.agentGateway, protocol: 'TCP' },
          { name: 'stats', containerPort: statsPort, protocol: 'TCP' },
          { name: 'readiness', containerPort: readinessPort, protocol: 'TCP' },
        ],
        envFrom: [{ secretRef: { name: kubernetes.agentGatewaySecret } }],
        startupProbe: httpProbe('/healthz/ready', 'readiness', { periodSeconds: 2, failureThreshold: 30 }),
        readinessProbe: httpProbe('/healthz/ready', 'readiness', { periodSeconds: 5, failureThreshold: 2 }),
        // Its readiness turns bad when it drains; only a closed port means that it hangs.
        livenessProbe: {
          tcpSocket: { port: k8s.IntOrString.fromString('readiness') },
          periodSeconds: 10,
          failureThreshold: 3,
        },
        volumeMounts: [{ name: 'config', mountPath: '/etc/agentgateway', readOnly: true }],
      },
      pod: { volumes: [{ name: 'config', configMap: { name: kubernetes.agentGateway } }] },
      ingress: [serve(platform, 'all', ports.agentGateway, statsPort)],
      egress: [
        ...resolveNames(),
        reach(platform, 'gateway', gatewayPort),
        ...(addons.includes('vllm') ? [reach(platform, 'vllm', ports.vllm)] : []),
        ...reachTheWorld(),
        ...reachUrls(Object.values(platform.cluster.mcpServers)),
      ],
    }),
  );
}

const statsPort = 15_020;
const readinessPort = 15_021;

function configOf({ cluster }: Platform): unknown {
  const timeout = { requestTimeout: `${longestStreamSeconds + 10}s` };
  const targets = Object.entries(cluster.mcpServers).map(([name, host]) => ({ name, mcp: { host } }));
  return {
    config: {
      // No administration over the network.
      adminAddr: '127.0.0.1:15000',
      statsAddr: `0.0.0.0:${statsPort}`,
      readinessAddr: `0.0.0.0:${readinessPort}`,
      // Its own patience when it is told to end; the pod's grace is longer.
      connectionTerminationDeadline: `${longestStreamSeconds}s`,
    },
    binds: [
      {
        port: ports.agentGateway,
        listeners: [
          {
            name: 'agents',
            protocol: 'HTTP',
            routes: [
              {
                name: 'models',
                matches: [{ path: { pathPrefix: '/v1' } }],
                policies: { timeout },
                // Keys, budgets and fallbacks are the gateway's: the client's own key goes through.
                backends: [{ host: `${kubernetes.gateway}:80` }],
              },
              ...(cluster.addons.includes('vllm')
                ? [
                    {
                      name: 'vllm',
                      // Past the gateway, for load tests and comparisons; vLLM asks for its own key.
                      matches: [{ path: { pathPrefix: '/vllm' } }],
                      policies: { timeout, urlRewrite: { path: { prefix: '/' } } },
                      backends: [{ host: `${kubernetes.vllm}:${ports.vllm}` }],
                    },
                  ]
                : []),
              ...(targets.length === 0 ? [] : [toolRoute(targets)]),
            ],
          },
        ],
      },
    ],
  };
}

/** Tools act: nobody without a key, and a loop of an agent is slowed down before it does harm. */
const toolRoute = (targets: readonly unknown[]): unknown => ({
  name: 'tools',
  matches: [{ path: { pathPrefix: '/mcp' } }],
  policies: {
    apiKey: { mode: 'strict', keys: [{ key: '$AGENTGATEWAY_KEY' }] },
    localRateLimit: [{ maxTokens: 100, tokensPerFill: 50, fillInterval: '1s' }],
  },
  backends: [{ mcp: { targets } }],
});
