/** The architecture in code: what stands in each region, what leans on what, and the one stack above the regions. */
import { App, type AppProps, Tags } from 'aws-cdk-lib';
import type { Platform } from './platform/platform.ts';
import { BackupStack } from './stacks/backup.ts';
import { CacheStack } from './stacks/cache.ts';
import { ClusterStack } from './stacks/cluster.ts';
import { DataStack } from './stacks/data.ts';
import { DeliveryStack } from './stacks/delivery.ts';
import { DnsStack } from './stacks/dns.ts';
import { IngressStack } from './stacks/ingress.ts';
import { type ChartsOf, ManifestsStack } from './stacks/manifests.ts';
import { MonitoringStack } from './stacks/monitoring.ts';
import { NetworkStack } from './stacks/network.ts';
import { RegionSwitchStack } from './stacks/region-switch.ts';
import { ResilienceStack } from './stacks/resilience.ts';
import { SatelliteStack } from './stacks/satellite.ts';
import { StorageStack } from './stacks/storage.ts';

/**
 * All stacks of a platform.
 * @param chartsOf manifests of a region, where a stack is to apply them
 *
 * ```
 *          dns (one, global: names and health checks; knows regions by name only)
 *           ┊                      ┊
 *   ┌─ region A ────────┐  ┌─ region B ────────┐
 *   │ ingress           │  │ ingress           │   no stack of a region
 *   │   └─ cluster      │  │   └─ cluster      │   refers to another region
 *   │        ├─ data ◀┄┄│┄┄│┄┄┄┄┄┄├─ data      │   (replica: by a computed ARN)
 *   │        ├─ cache   │  │      ├─ cache     │
 *   │        └─ network │  │      └─ network   │
 *   └───────────────────┘  └───────────────────┘
 * ```
 */
export function buildApp(platform: Platform, props: AppProps = {}, chartsOf?: ChartsOf): App {
  const app = new App(props);
  for (const satellite of platform.satellites) new SatelliteStack(app, platform, satellite);
  for (const region of platform.regions) {
    const { logs: accessLogs } = new StorageStack(app, { platform, region });
    const { vpc } = new NetworkStack(app, { platform, region });
    const data = region.database ?? new DataStack(app, { platform, region, vpc });
    const cache = new CacheStack(app, { platform, region, vpc });
    const cluster = new ClusterStack(app, { platform, region, vpc, data, cache });
    const ingress = new IngressStack(app, { platform, region, vpc, cluster });
    const monitoring = new MonitoringStack(app, { platform, region, accessLogs, ingress });
    if (platform.cluster.applyByStack !== undefined && chartsOf !== undefined) {
      const { kubectlLayerArns } = platform.cluster.applyByStack;
      new ManifestsStack(app, { platform, region, vpc, cluster, charts: chartsOf(region), kubectlLayerArns });
    }
    new BackupStack(app, { platform, region, data, monitoring });
    new ResilienceStack(app, { platform, region, vpc, ingress }).addStackDependency(monitoring);
  }
  new DnsStack(app, platform);
  if (platform.delivery !== undefined) new DeliveryStack(app, platform, platform.delivery);
  if (platform.regionSwitchPlan) new RegionSwitchStack(app, platform);
  for (const [key, value] of Object.entries(platform.tags)) Tags.of(app).add(key, value);
  return app;
}
