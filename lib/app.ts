/** The architecture in code: what stands in each region, what leans on what, and the one stack above the regions. */
import { App, type AppProps, Tags } from 'aws-cdk-lib';
import type { Platform } from './platform/platform.ts';
import { CacheStack } from './stacks/cache.ts';
import { ClusterStack } from './stacks/cluster.ts';
import { DataStack } from './stacks/data.ts';
import { DnsStack } from './stacks/dns.ts';
import { IngressStack } from './stacks/ingress.ts';
import { NetworkStack } from './stacks/network.ts';

/**
 * All stacks of a platform.
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
export function buildApp(platform: Platform, props: AppProps = {}): App {
  const app = new App(props);
  for (const region of platform.regions) {
    const { vpc } = new NetworkStack(app, { platform, region });
    const data = new DataStack(app, { platform, region, vpc });
    const cache = new CacheStack(app, { platform, region, vpc });
    const cluster = new ClusterStack(app, { platform, region, vpc, data, cache });
    new IngressStack(app, { platform, region, vpc, cluster });
  }
  new DnsStack(app, platform);
  for (const [key, value] of Object.entries(platform.tags)) Tags.of(app).add(key, value);
  return app;
}
