/** A region from nothing: stacks from the templates of the last release, then what the manifests name. */
import { CreateStackCommand, type Stack } from '@aws-sdk/client-cloudformation';
import { DescribeClusterCommand } from '@aws-sdk/client-eks';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { eksClusterName, kubernetes, ports, regionalStackKinds, stackName } from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import type { Foundation } from '../books/disaster-restore.ts';
import { type AwsClients, clientToken, isNamed } from './clients.ts';
import type { Kubectl } from './kubectl.ts';
import { capabilities, describe, stackAtRest } from './stacks.ts';
import { type TemplateInput, templateInput } from './template-input.ts';
import { isRolledOut, readWorkloads } from './workloads.ts';

export interface FoundationPlace {
  readonly platform: Platform;
  readonly kubectl: Kubectl;
  /** What CDK made of the description: the template of a stack. */
  readonly templateOf: (stack: string) => Promise<string>;
  /** Where large templates and nothing else is put before there is a bucket of ours: that of `cdk bootstrap`. */
  readonly templateBucketIn: (region: string) => string;
  /** The role that makes the stacks' resources: that of `cdk bootstrap`. */
  readonly deploymentRoleIn: (region: string) => string;
  /** Files of manifests of a region, in the order in which they are applied. */
  readonly manifestsOf: (region: string) => Promise<readonly { readonly file: string; readonly text: string }[]>;
  readonly wait: (seconds: number, signal: AbortSignal) => Promise<void>;
}

const templateSchema = z.looseObject({
  Parameters: z.record(z.string(), z.looseObject({ Default: z.unknown().optional() })).default({}),
});

export function awsFoundation(clients: AwsClients, place: FoundationPlace): Foundation {
  const { platform, kubectl, wait } = place;
  const stacksIn = (region: string): string[] => regionalStackKinds.map((kind) => stackName(platform, region, kind));
  return {
    view: async (region, signal) => {
      const found = await Promise.all(stacksIn(region).map((stack) => stackOrNone(clients, region, stack, signal)));
      if (found.some((stack) => stack?.StackStatus?.endsWith('_IN_PROGRESS') === true)) return 'creating';
      if (found.some((stack) => !isComplete(stack))) return 'absent';
      const name = eksClusterName(platform, region);
      const { cluster } = await clients.eks(region).send(new DescribeClusterCommand({ name }), { abortSignal: signal });
      if (cluster?.status !== 'ACTIVE') return 'creating';
      // Its context is the operator's to make: a cluster that kubectl does not reach is of no use to the steps after this.
      await kubectl(region, ['get', 'nodes', '--output=json'], signal);
      return 'ready';
    },
    build: async (region, token, signal) => {
      for (const stack of stacksIn(region)) await made(clients, place, region, stack, token, signal);
    },
    vault: (region, signal) => vaultState(kubectl, region, signal),
    restoreVault: async (region, snapshot, _token, signal) => {
      for (const { file, text } of await place.manifestsOf(region)) {
        if (/^0[06]-/.test(file)) await apply(kubectl, region, text, signal);
      }
      while (!(await vaultRuns(kubectl, region, signal))) await wait(betweenLooksSeconds, signal);
      await pourIn(clients, kubectl, region, snapshot, signal);
    },
    services: async (region, signal) => {
      const named = (await place.manifestsOf(region)).flatMap(({ text }) => workloadNames(text));
      const workloads = await readWorkloads(kubectl, region, signal);
      const ready = workloads.filter((one) => named.includes(one.metadata.name) && isRolledOut(one));
      return { ready: ready.length, wanted: named.length };
    },
    applyServices: async (region, _token, signal) => {
      for (const { text } of await place.manifestsOf(region)) await apply(kubectl, region, text, signal);
    },
  };
}

const betweenLooksSeconds = 5;
const isComplete = (stack: Stack | undefined): boolean =>
  stack?.StackStatus === 'CREATE_COMPLETE' || stack?.StackStatus === 'UPDATE_COMPLETE';

async function stackOrNone(
  clients: AwsClients,
  region: string,
  stack: string,
  signal: AbortSignal,
): Promise<Stack | undefined> {
  try {
    return await describe(clients.cloudFormation(region), stack, signal);
  } catch (error) {
    if (error instanceof Error && error.message.includes('does not exist')) return undefined;
    throw error;
  }
}

/** One after the other: each names what those before it have made. */
async function made(
  clients: AwsClients,
  place: FoundationPlace,
  region: string,
  stack: string,
  token: string,
  signal: AbortSignal,
): Promise<void> {
  const { platform, wait } = place;
  if ((await stackOrNone(clients, region, stack, signal)) === undefined) {
    const text = await place.templateOf(stack);
    const { Parameters: parameters } = templateSchema.parse(JSON.parse(text));
    const open = Object.entries(parameters).flatMap(([name, { Default: value }]) =>
      value === undefined ? [name] : [],
    );
    if (open.length > 0)
      throw new Error(`${stack} asks for ${open.join(', ')}: npx cdk deploy ${stack} --parameters ..., then resume`);
    const input = await templateInput(clients, { region, bucket: place.templateBucketIn(region) }, stack, text, signal);
    await create(clients, region, stack, input, place, token, signal);
  }
  const found = await stackAtRest(clients, { region, stack }, wait, signal);
  if (isComplete(found)) return;
  const { StackStatus: status = 'unknown', StackStatusReason: reason = 'see its events' } = found;
  throw new Error(
    `${stack} is ${status}: ${reason}. Mend it, ${status === 'ROLLBACK_COMPLETE' ? 'delete the empty stack, ' : ''}then resume (${platform.name})`,
  );
}

async function create(
  clients: AwsClients,
  region: string,
  stack: string,
  input: TemplateInput,
  { platform, deploymentRoleIn }: FoundationPlace,
  token: string,
  abortSignal: AbortSignal,
): Promise<void> {
  try {
    await clients.cloudFormation(region).send(
      new CreateStackCommand({
        ...input,
        StackName: stack,
        Capabilities: [...capabilities],
        RoleARN: deploymentRoleIn(region),
        EnableTerminationProtection: platform.environment === 'production',
        Tags: Object.entries(platform.tags).map(([Key, Value]) => ({ Key, Value })),
        ClientRequestToken: clientToken(`${token}/${stack}`),
      }),
      { abortSignal },
    );
  } catch (error) {
    // Begun already, by a run that was interrupted.
    if (!isNamed(error, 'AlreadyExistsException', 'TokenAlreadyExistsException')) throw error;
  }
}

async function apply(kubectl: Kubectl, region: string, text: string, signal: AbortSignal): Promise<void> {
  await kubectl(region, ['apply', '--server-side', '--force-conflicts', '--filename=-'], signal, text);
}

/** Pure. Deployments and StatefulSets of a file. */
export function workloadNames(text: string): string[] {
  const schema = z.object({ kind: z.enum(['Deployment', 'StatefulSet']), metadata: z.object({ name: z.string() }) });
  return parseAllDocuments(text).flatMap((document) => {
    const object = schema.safeParse(document.toJS());
    return object.success ? [object.data.metadata.name] : [];
  });
}

/** On the StatefulSet: which snapshot Vault holds. It cannot tell itself. */
const snapshotNote = 'holdfast/restored-snapshot';
const vaultPod = `${kubernetes.vault}-0`;
const inVault = (script: string): readonly string[] => ['exec', '--stdin', vaultPod, '--', '/bin/sh', '-euc', script];
const vaultAddress = `export VAULT_ADDR=https://${vaultPod}.${kubernetes.vault}:${ports.vault} VAULT_CACERT=/vault/tls/ca.crt HOME=/tmp; umask 077`;

async function vaultState(kubectl: Kubectl, region: string, signal: AbortSignal) {
  const workloads = await readWorkloads(kubectl, region, signal);
  const vault = workloads.find(({ metadata }) => metadata.name === kubernetes.vault);
  if (vault === undefined) return { isUnsealed: false, snapshot: undefined };
  // A sealed Vault ends with another code, and says so in its answer.
  const text = await kubectl(region, inVault(`${vaultAddress}; vault status -format=json || true`), signal);
  const { sealed } = z.looseObject({ sealed: z.boolean() }).parse(JSON.parse(text));
  return { isUnsealed: !sealed, snapshot: vault.metadata.annotations[snapshotNote] };
}

async function vaultRuns(kubectl: Kubectl, region: string, signal: AbortSignal): Promise<boolean> {
  try {
    await kubectl(region, inVault('test -w /tmp'), signal);
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** The first Vault is made only to be overwritten. Its token never leaves the pod, and a second try finds it there. */
const restoreScript = `${vaultAddress}
test -s /tmp/first.json || vault operator init -recovery-shares=1 -recovery-threshold=1 -format=json > /tmp/first.json
VAULT_TOKEN=$(sed -n 's/.*"root_token": *"\\([^"]*\\)".*/\\1/p' /tmp/first.json)
export VAULT_TOKEN
vault operator raft snapshot restore -force /tmp/vault.snap
rm -f /tmp/vault.snap /tmp/first.json`;

async function pourIn(
  clients: AwsClients,
  kubectl: Kubectl,
  region: string,
  snapshot: string,
  signal: AbortSignal,
): Promise<void> {
  const { hostname: Bucket, pathname } = new URL(snapshot);
  const Key = decodeURIComponent(pathname.slice(1));
  const { Body: body } = await clients.s3(region).send(new GetObjectCommand({ Bucket, Key }), { abortSignal: signal });
  if (body === undefined) throw new Error(`${snapshot} is empty`);
  await kubectl(region, inVault('umask 077; cat > /tmp/vault.snap'), signal, await body.transformToByteArray());
  await kubectl(region, inVault(restoreScript), signal);
  await kubectl(
    region,
    ['annotate', `statefulset/${kubernetes.vault}`, `${snapshotNote}=${snapshot}`, '--overwrite'],
    signal,
  );
}
