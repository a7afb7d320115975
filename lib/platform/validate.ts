/** Every rule that a platform description must satisfy, before anything is synthesized. */

import type { PlatformSpec } from './platform.ts';
import { tiers } from './tiers.ts';
import { cacheFaults } from './validate-cache.ts';
import { clusterFaults } from './validate-cluster.ts';
import { findDatabaseFaults } from './validate-databases.ts';
import { networkFaults } from './validate-networks.ts';
import { regionFaults } from './validate-regions.ts';
import { satelliteFaults } from './validate-satellites.ts';

/** All faults of a description, in the order of its fields; empty when it can be built. */
export function findFaults(spec: PlatformSpec): string[] {
  return [
    ...nameFaults(spec),
    ...regionFaults(spec),
    ...roleFaults(spec),
    ...tierFaults(spec),
    ...satelliteFaults(spec),
    ...networkFaults(spec),
    ...findDatabaseFaults(spec),
    ...cacheFaults(spec),
    ...clusterFaults(spec),
    ...operationsFaults(spec),
  ];
}

function nameFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  if (!/^[a-z][a-z0-9-]{0,18}[a-z0-9]$/.test(spec.name)) {
    faults.push(
      `name: "${spec.name}" must be 2 to 20 lower case letters, digits or hyphens and start with a letter; load balancer and bucket names are made from it`,
    );
  }
  if (!/^\d{12}$/.test(spec.account)) faults.push(`account: "${spec.account}" is not an AWS account id of 12 digits`);
  for (const [index, account] of (spec.deployedFrom ?? []).entries()) {
    if (!/^\d{12}$/.test(account)) {
      faults.push(`deployedFrom[${index}]: "${account}" is not an AWS account id of 12 digits`);
    }
    if (account === spec.account) {
      faults.push(`deployedFrom[${index}]: ${account} is the platform's own account; leave it out`);
    }
  }
  for (const [field, name] of [
    ['domain', spec.domain],
    ['hostedZone.name', spec.hostedZone.name],
  ] as const) {
    if (!isDomain(name)) faults.push(`${field}: "${name}" is not a domain name, for example gateway.example.com`);
  }
  if (spec.domain.length > 64) {
    faults.push(`domain: "${spec.domain}" is longer than the 64 characters that a certificate's first name may have`);
  }
  if (spec.domain !== spec.hostedZone.name && !spec.domain.endsWith(`.${spec.hostedZone.name}`)) {
    faults.push(
      `domain: "${spec.domain}" is not inside hostedZone.name "${spec.hostedZone.name}"; its records could never be found`,
    );
  }
  if (spec.hostedZone.id !== undefined && !/^Z[A-Z0-9]{1,31}$/.test(spec.hostedZone.id)) {
    faults.push(
      `hostedZone.id: "${spec.hostedZone.id}" is not a Route 53 zone id such as Z0123456789EXAMPLE; leave it out and the dns stack creates the zone`,
    );
  }
  if (spec.imageDigest !== undefined) {
    if (!/^sha256:[0-9a-f]{64}$/.test(spec.imageDigest)) {
      faults.push(`imageDigest: "${spec.imageDigest}" is not a digest: sha256: and 64 hexadecimal digits`);
    }
    if ((spec.cluster?.kind ?? 'eks') !== 'eks') {
      faults.push('imageDigest: only regions on "eks" have a registry of their own; put the digest into `image`');
    }
  }
  if (spec.bootstrapQualifier !== undefined && !/^[a-z0-9]{1,10}$/.test(spec.bootstrapQualifier)) {
    faults.push(`bootstrapQualifier: "${spec.bootstrapQualifier}" must be 1 to 10 lower case letters or digits`);
  }
  if (!/^[^\s/]+(\/[^\s/]+)*$/.test(spec.image)) {
    faults.push(`image: "${spec.image}" is not an image name, for example ghcr.io/holdfast/gateway:0.1.0`);
  }
  return faults;
}

function roleFaults(spec: PlatformSpec): string[] {
  const primaries = spec.regions.filter((region) => region.role === 'primary').map((region) => region.region);
  if (primaries.length === 0)
    return ['regions: no region has role "primary"; exactly one owns the database that takes writes'];
  if (primaries.length > 1) {
    return [
      `regions: ${primaries.length} regions have role "primary" (${primaries.join(', ')}); exactly one may take writes`,
    ];
  }
  return [];
}

function tierFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  const tier = tiers[spec.tier];
  const count = spec.regions.length;
  if (spec.topology === 'single-region' && count !== 1) {
    faults.push(
      `topology: "single-region" has one region, but regions lists ${count}; choose active-passive or active-active`,
    );
  }
  if (spec.topology !== 'single-region' && count < 2) {
    faults.push(
      `topology: "${spec.topology}" needs a second region in regions; a standby without a source or a primary without a standby protects nothing`,
    );
  }
  const optOut = spec.regionLoss?.optOutReason.trim();
  if (optOut === '') faults.push('regionLoss.optOutReason: say why the loss of the region is acceptable');
  if (optOut !== undefined && (spec.topology !== 'single-region' || tier.regionsAtLeast === 1)) {
    faults.push('regionLoss: nothing to opt out of here; leave it out');
  }
  if (spec.topology === 'single-region' && tier.regionsAtLeast > 1 && optOut === undefined) {
    faults.push(
      `tier: "${tier.name}" promises recovery in ${tier.rtoSeconds / 60} minutes with at most ${tier.rpoSeconds / 60} minutes of data lost when a region fails; one region cannot keep that. Choose tier "standard", add a region, or say why that is acceptable (regionLoss.optOutReason)`,
    );
  }
  for (const [index, region] of spec.regions.entries()) {
    if (region.zones.length < tier.zones) {
      faults.push(
        `regions[${index}].zones: tier "${tier.name}" needs ${tier.zones} zones, ${region.region} has ${region.zones.length}`,
      );
    }
  }
  return faults;
}

function operationsFaults({ operations, delivery }: PlatformSpec): string[] {
  const faults: string[] = [];
  for (const [field, date] of [
    ['operations.onCall.since', operations?.onCall?.since],
    ['operations.nextDrill', operations?.nextDrill],
  ] as const) {
    if (date !== undefined && !(/^\d{4}-\d{2}-\d{2}$/.test(date) && Number.isFinite(Date.parse(date)))) {
      faults.push(`${field}: "${date}" is not a day such as 2027-01-15`);
    }
  }
  for (const [index, email] of (operations?.alertEmails ?? []).entries()) {
    if (!/^[^\s@]+@[^\s@]+$/.test(email)) faults.push(`operations.alertEmails[${index}]: "${email}" is not an address`);
  }
  if (delivery?.subjects.length === 0) {
    faults.push(
      'delivery.subjects: names nobody; say who may deploy, for example repo:acme/gateway:environment:production',
    );
  }
  for (const [index, subject] of (delivery?.subjects ?? []).entries()) {
    if (/^(repo:)?\*/.test(subject)) {
      faults.push(`delivery.subjects[${index}]: "${subject}" lets every repository of the issuer deploy; name yours`);
    }
  }
  return faults;
}

const isDomain = (name: string): boolean =>
  name.length <= 253 && /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$/.test(name);
