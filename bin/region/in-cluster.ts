/** What `holdfast region ready --in-cluster` asks: its own region, from a pod, with the pod's own rights. */
import { readFile } from 'node:fs/promises';
import type { Platform } from '../../lib/platform/platform.ts';
import { ownRegion } from '../../runbooks/aws/own-region.ts';
import { messageOf } from '../../runbooks/engine/look.ts';
import { readPage } from '../../runbooks/region/page.ts';
import { platformFrom } from '../../runbooks/region/platform-file.ts';
import { UsageError } from '../runbook/host.ts';
import { bucketsOf } from './buckets.ts';

/** @throws UsageError with what is wrong with the file. */
export async function platformIn(file: string): Promise<Platform> {
  try {
    return platformFrom(await readFile(file, 'utf8'));
  } catch (error) {
    throw new UsageError(`${file} cannot be used: ${messageOf(error)}`);
  }
}

const usualAccountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * @param addressOf where gateways of a region are reached
 * @throws UsageError
 */
export function openInCluster(platform: Platform, name: string, addressOf: (region: string) => string) {
  const region = platform.regions.find((one) => one.region === name);
  if (region === undefined) {
    const known = platform.regions.map((one) => one.region).join(', ');
    throw new UsageError(`--in-cluster ${name}: the platform has no such region, only ${known}`);
  }
  const host = process.env['KUBERNETES_SERVICE_HOST'];
  if (host === undefined) {
    throw new UsageError(
      '--in-cluster: this is no pod, KUBERNETES_SERVICE_HOST is not set; leave it out to use kubectl',
    );
  }
  const port = process.env['KUBERNETES_SERVICE_PORT_HTTPS'] ?? '443';
  // As AWS's own clients read it; some calls go past them.
  const endpoint = process.env['AWS_ENDPOINT_URL'];
  const opened = ownRegion({
    platform,
    region,
    access: endpoint === undefined ? {} : { endpoint },
    claims: bucketsOf(platform).claims,
    kubernetes: {
      server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
      accountDirectory: process.env['HOLDFAST_SERVICE_ACCOUNT_DIRECTORY'] ?? usualAccountDirectory,
    },
    imageElsewhere: async (elsewhere, signal) => {
      const { image } = await readPage(addressOf(elsewhere), signal);
      if (image === undefined) throw new Error(`the gateways of ${elsewhere} do not say which image they run`);
      return image;
    },
  });
  return { ...opened, looksAt: [name] };
}
