/** Rules for Kubernetes: what runs in it, what it reaches, who reaches it. */
import type { PlatformSpec } from './spec.ts';
import { canWatch } from './watch.ts';

/** Faults of `cluster`. */
export function clusterFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const { kind = 'eks', ingress, addons = [] } = spec.cluster ?? {};
  if (ingress !== undefined && kind !== 'generic') {
    faults.push(
      `cluster.ingress: "${ingress}" has no effect on "${kind}"; leave it out or set cluster.kind to "generic"`,
    );
  }
  for (const [index, addon] of addons.entries()) {
    if (addons.indexOf(addon) !== index) faults.push(`cluster.addons[${index}]: "${addon}" appears twice`);
  }
  for (const [index, address] of (spec.cluster?.outbound ?? []).entries()) {
    const [, host = '', port] = /^([\w.-]+(?:\/(?:[89]|[12]\d|3[0-2]))?):(\d{1,5})$/.exec(address) ?? [];
    if (host === '' || Number(port) < 1 || Number(port) > 65_535 || host.startsWith('169.254.')) {
      faults.push(
        `cluster.outbound[${index}]: "${address}" is not HOST:PORT such as llm.models:8000 or 10.20.0.0/16:8000 (no node addresses)`,
      );
    }
  }
  for (const [name, image] of Object.entries(spec.cluster?.images ?? {})) {
    if (!/@sha256:[0-9a-f]{64}$|:[^:/@]*\d+\.\d+[^:/@]*$/.test(image)) {
      faults.push(
        `cluster.images.${name}: "${image}" may be another image tomorrow; name it by digest (@sha256:...) or by an exact version`,
      );
    }
  }
  if (spec.cluster?.regionWatch === true && !canWatch(spec)) {
    faults.push(
      'cluster.regionWatch: it asks AWS of a region that may take over: cluster.kind "eks" and several regions; leave it out',
    );
  }
  const layers = spec.cluster?.applyByStack?.kubectlLayerArns;
  if (layers !== undefined && kind !== 'eks') {
    faults.push(`cluster.applyByStack: stacks reach clusters of kind "eks" alone; leave it out`);
  }
  for (const { region } of layers === undefined ? [] : spec.regions) {
    const [arn, ofRegion] = [layers?.[region], `arn:aws:lambda:${region}:`];
    if (arn?.startsWith(ofRegion) !== true || !/:layer:[\w-]+:\d+$/.test(arn)) {
      faults.push(
        `cluster.applyByStack.kubectlLayerArns.${region}: "${arn ?? ''}" is not the ARN of a layer version, ${ofRegion}ACCOUNT:layer:NAME:VERSION; a function takes layers of its own region only`,
      );
    }
  }
  const { objectStoreUrl } = spec.cluster ?? {};
  if (objectStoreUrl !== undefined && !/^https?:\/\/[\w.-]+(:\d+)?\/?$/.test(objectStoreUrl)) {
    faults.push(`cluster.objectStoreUrl: "${objectStoreUrl}" is not an address such as https://minio.storage:9000`);
  }
  if (objectStoreUrl !== undefined && kind === 'eks') {
    faults.push('cluster.objectStoreUrl: on "eks" backups go to S3 by the pods’ roles; leave it out');
  }
  for (const [index, arn] of (spec.cluster?.adminRoleArns ?? []).entries()) {
    if (!/^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$/.test(arn)) {
      faults.push(
        `cluster.adminRoleArns[${index}]: "${arn}" is not a role ARN such as arn:aws:iam::${spec.account}:role/Admin`,
      );
    }
  }
  for (const [index, range] of (spec.cluster?.publicApiCidrs ?? []).entries()) {
    if (!/^(\d{1,3}\.){3}\d{1,3}\/([89]|[12]\d|3[0-2])$/.test(range)) {
      faults.push(
        `cluster.publicApiCidrs[${index}]: "${range}" is not a range such as 198.51.100.0/24 (prefix 8 to 32); the Kubernetes API is never open to everyone`,
      );
    }
  }
  return faults;
}

/** Faults of a region's cluster that was brought along. */
export function ownClusterFaults({ cluster, network }: PlatformSpec['regions'][number], at: string): string[] {
  if (cluster === undefined) return [];
  const faults: string[] = [];
  if (!/^[0-9A-Za-z][\w-]{0,99}$/.test(cluster.name)) {
    faults.push(`${at}.cluster.name: "${cluster.name}" is not the name of an EKS cluster`);
  }
  if (!/^sg-[0-9a-f]{8,17}$/.test(cluster.securityGroupId)) {
    faults.push(`${at}.cluster.securityGroupId: "${cluster.securityGroupId}" is not a security group id`);
  }
  if (network === undefined) {
    faults.push(`${at}.cluster: "${cluster.name}" stands in a network already; name it in ${at}.network`);
  }
  return faults;
}
