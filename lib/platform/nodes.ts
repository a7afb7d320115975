/** The nodes that gateways run on: what is reckoned with, preferred by the cluster, and kept for a failover. */
export const gatewayNode = {
  /** One type, so that capacity that is kept and nodes that are asked for are the same thing. 4 vCPU, 16 GiB, x86. */
  instanceType: 'm6i.xlarge',
  cpus: 4,
  /** Gateways that one carries beside what else runs there: each asks for a CPU of its own. */
  gateways: 2,
} as const;

/** Nodes for so many gateways: at least one in each zone. */
export const nodesFor = (gateways: number, zones: number): number =>
  Math.max(zones, Math.ceil(gateways / gatewayNode.gateways));
