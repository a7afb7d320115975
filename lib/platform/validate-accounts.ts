/** Rules for accounts: what AWS keeps inside of one, and what may lie in another. */
import { accountsOf } from './accounts.ts';
import type { PlatformSpec } from './spec.ts';

/** Faults of `account`, `deployedFrom`, `regions[].account`, `witnessAccount` and `isolatedVaultArns`. */
export function accountFaults(spec: PlatformSpec): string[] {
  return [...formatFaults(spec), ...regionFaults(spec), ...witnessFaults(spec), ...vaultFaults(spec)];
}

function formatFaults(spec: PlatformSpec): string[] {
  const faults: string[] = [];
  for (const [field, account] of [
    ['account', spec.account],
    ...(spec.deployedFrom ?? []).map((each, index) => [`deployedFrom[${index}]`, each] as const),
    ...spec.regions.map((region, index) => [`regions[${index}].account`, region.account] as const),
    ['witnessAccount', spec.witnessAccount],
  ] as const) {
    if (account !== undefined && !/^\d{12}$/.test(account)) {
      faults.push(`${field}: "${account}" is not an AWS account id of 12 digits`);
    }
  }
  const own = new Set([spec.account, ...spec.regions.map(({ account }) => account)]);
  for (const [index, account] of (spec.deployedFrom ?? []).entries()) {
    if (own.has(account)) {
      faults.push(`deployedFrom[${index}]: ${account} is the platform's own account; leave it out`);
    }
  }
  return faults;
}

function regionFaults(spec: PlatformSpec): string[] {
  const primary = spec.regions.find(({ role }) => role === 'primary');
  const expected = primary?.account ?? spec.account;
  return spec.regions.flatMap(({ region, role, account: given, certificateArn }, index) => {
    const at = `regions[${index}]`;
    const account = given ?? spec.account;
    return [
      ...(primary === undefined || role === 'primary' || account === expected
        ? []
        : [
            `${at}.account: ${region} is in ${account}, the primary ${primary.region} in ${expected}; RDS has no read replicas across accounts, and neither secrets nor multi-region keys are copied there, so ${region} could not follow the primary. Give all regions one account; another may have the names (account), the witness (witnessAccount), or a whole environment`,
          ]),
      ...(account === spec.account || certificateArn !== undefined
        ? []
        : [
            `${at}.certificateArn: missing; the hosted zone is in ${spec.account} and ${region} in ${account}, and CloudFormation proves a certificate by a zone of its own account only. Request one in ${region} for the domain and the region's names, and put its record of proof into the zone by hand, once`,
          ]),
    ];
  });
}

function witnessFaults({ witnessRegion, witnessAccount }: PlatformSpec): string[] {
  return witnessAccount !== undefined && witnessRegion === undefined
    ? ['witnessAccount: there is no witness; name its region (witnessRegion), or leave the account out']
    : [];
}

function vaultFaults(spec: PlatformSpec): string[] {
  return Object.entries(spec.isolatedVaultArns ?? {}).flatMap(([region, arn]) => {
    const at = `isolatedVaultArns.${region}`;
    const start = `arn:aws:backup:${region}:`;
    const [, account] = /^(\d{12}):backup-vault:[\w-]{2,50}$/.exec(arn.slice(start.length)) ?? [];
    return [
      ...(spec.regions.some((each) => each.region === region) ? [] : [`${at}: no such region in regions`]),
      ...(arn.startsWith(start) && account !== undefined
        ? []
        : [
            `${at}: "${arn}" is not a vault in that region such as ${start}999999999999:backup-vault:isolated; AWS Backup copies RDS across a region or an account, not both at once`,
          ]),
      ...(account !== undefined && accountsOf(spec).includes(account)
        ? [`${at}: ${account} is an account of this platform; whoever ruins it must not reach the vault`]
        : []),
    ];
  });
}
