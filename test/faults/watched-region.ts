/** What the watch of a region asks, for its test: AWS over the wire, the Kubernetes API, two gateways; and its pod as a process. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { CreateDBInstanceCommand, CreateDBSnapshotCommand } from '@aws-sdk/client-rds';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { onTestFinished } from 'vitest';
import { z } from 'zod';
import { bucketsOf } from '../../bin/region/buckets.ts';
import type { Claim } from '../../gateway/region/claim.ts';
import {
  bucketName,
  databaseIdentifier,
  databaseSecretName,
  gatewaySecretName,
  kubernetes,
  objectKeys,
} from '../../lib/platform/names.ts';
import type { Platform } from '../../lib/platform/platform.ts';
import { AwsClients } from '../../runbooks/aws/clients.ts';
import { selfSignedCertificate } from '../../runbooks/lab/certificate.ts';
import { launch, stopProcess } from '../../runbooks/lab/child-process.ts';
import { freePort } from '../../runbooks/lab/free-port.ts';
import { thisCheckout } from '../../runbooks/lab/gateway-process.ts';
import { at, find, listAt, type Manifest, objectsOf } from '../k8s/manifests.ts';
import type { Moto } from '../support/aws/moto.ts';
import { makeBucket } from '../support/aws/standing.ts';
import { credentials, preparing, startWire, type Wire } from '../support/aws/wire.ts';
import { configFor, migratedDatabase, startTestGateway } from '../support/gateway.ts';
import { query } from '../support/query.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

export const [east, west] = ['us-east-1', 'us-west-2'] as const;

export interface WatchedAws {
  readonly wire: Wire;
  /** Value of each metric that was put, in order, with its region. */
  readonly put: readonly { readonly region: string; readonly value: number }[];
  claim(change: Pick<Claim, 'epoch' | 'writer' | 'candidates'>): Promise<void>;
}

/** Claim, secrets and snapshots in moto; what it lacks (quotas, metrics) here. */
export async function watchedAws(platform: Platform, moto: Moto): Promise<WatchedAws> {
  const put: { region: string; value: number }[] = [];
  const wire = await startWire({
    moto,
    services: {
      // One quota was never asked for: AWS's default counts.
      servicequotas: ({ action, body }) =>
        action === 'GetServiceQuota' && body.includes('L-F678F1CE')
          ? { json: { __type: 'NoSuchResourceException', message: 'none' }, status: 400 }
          : { json: { Quota: { Value: 1_000 } } },
      monitoring: ({ region, body }) => {
        put.push({ region, value: putSchema.parse(JSON.parse(body)).MetricData[0].Value });
        return { json: {} };
      },
    },
  });
  const clients = new AwsClients(preparing(wire.access));
  onTestFinished(async () => {
    clients.destroy();
    await wire.close();
  });
  const { claims } = bucketsOf(platform);
  for (const { region, bucket } of claims) await makeBucket(clients, region, bucket);
  for (const region of platform.regions) {
    await makeBucket(clients, region.region, bucketName(platform, region, 'backup'));
    const ofGateway = { Name: gatewaySecretName(platform), SecretString: 'not-a-secret' };
    await clients.secretsManager(region.region).send(new CreateSecretCommand(ofGateway));
  }
  await clients.secretsManager(east).send(
    new CreateSecretCommand({
      Name: databaseSecretName(platform),
      SecretString: 'not-a-secret',
      AddReplicaRegions: platform.standbys.map(({ region: Region }) => ({ Region })),
    }),
  );
  for (const region of platform.standbys) {
    const DBInstanceIdentifier = databaseIdentifier(platform, region);
    const size = { DBInstanceClass: 'db.r6g.large', Engine: 'postgres', AllocatedStorage: 20 };
    await clients.rds(region.region).send(new CreateDBInstanceCommand({ DBInstanceIdentifier, ...size }));
    const snapshot = { DBInstanceIdentifier, DBSnapshotIdentifier: 'of-today' };
    await clients.rds(region.region).send(new CreateDBSnapshotCommand(snapshot));
  }
  return {
    wire,
    put,
    claim: async (change) => {
      const claim: Claim = { phase: 'held', run: null, sequence: 0, ttlSeconds: 15, ...change };
      for (const { region, bucket: Bucket } of claims) {
        const Body = JSON.stringify(claim);
        await clients.s3(region).send(new PutObjectCommand({ Bucket, Key: objectKeys.claim, Body }));
      }
    },
  };
}

const putSchema = z.object({ MetricData: z.tuple([z.object({ Value: z.number() })]) });

export interface WatchedCluster {
  readonly environment: Readonly<Record<string, string>>;
  /** What the gateway's Deployment shows from now on. */
  shows(gateway: { readonly image: string; readonly ready: number }): void;
}

/** Lists of the platform's namespace over HTTPS, for whoever has the token and asks for what the Role allows. */
export async function watchedCluster(allowed: readonly unknown[]): Promise<WatchedCluster> {
  const { certificate: cert, privateKey: key } = selfSignedCertificate();
  const start = `/apis/apps/v1/namespaces/${kubernetes.namespace}/`;
  const token = 'token-of-the-watch';
  let gateway = { image: '', ready: 0 };
  const server = createServer({ key, cert }, (request, response) => {
    const kind = request.url?.slice(start.length) ?? '';
    const isKnown = request.headers.authorization === `Bearer ${token}`;
    const mayAsk = request.method === 'GET' && request.url?.startsWith(start) === true && allowed.includes(kind);
    response.writeHead(isKnown ? (mayAsk ? 200 : 403) : 401, { 'content-type': 'application/json' });
    // The entries of a list do not say what they are.
    const items = kind === 'deployments' ? [deploymentOf(gateway)] : [];
    response.end(JSON.stringify(mayAsk ? { kind: 'List', items } : { kind: 'Status', message: 'forbidden' }));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const account = await temporaryDirectory();
  const files = { token, namespace: kubernetes.namespace, 'ca.crt': cert };
  for (const [name, text] of Object.entries(files)) await writeFile(join(account, name), text);
  return {
    environment: {
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT_HTTPS: String(port),
      HOLDFAST_SERVICE_ACCOUNT_DIRECTORY: account,
    },
    shows: (now) => {
      gateway = now;
    },
  };
}

const deploymentOf = ({ image, ready }: { readonly image: string; readonly ready: number }) => ({
  metadata: { name: kubernetes.gateway, generation: 1 },
  spec: {
    replicas: ready,
    selector: { matchLabels: {} },
    template: { spec: { containers: [{ name: kubernetes.gateway, image }] } },
  },
  status: { observedGeneration: 1, replicas: ready, readyReplicas: ready, updatedReplicas: ready },
});

/** A gateway of each region, as its manifests tell it what it is and where the claim lies; one database stands for both. */
export async function watchedGateways(platform: Platform, { access }: Wire) {
  const database = await migratedDatabase();
  onTestFinished(() => database.drop());
  await query(database.url, `SELECT name_first_region('${east}')`);
  const told = ['HOLDFAST_IMAGE', 'HOLDFAST_REGION', 'HOLDFAST_CLAIM_BUCKETS', 'HOLDFAST_CLAIM_KEY'];
  const start = async (region: string) => {
    const deployment = find(objectsOf(platform, region), 'Deployment', kubernetes.gateway);
    const variables = Object.entries(variablesOf(at(deployment, 'spec.template.spec.containers.0')));
    const { accessKeyId, secretAccessKey } = preparing(access).credentials ?? credentials;
    const gateway = await startTestGateway({
      config: configFor(['http://127.0.0.1:9/v1']),
      databaseUrl: database.url,
      environment: {
        ...Object.fromEntries(variables.filter(([name]) => told.includes(name))),
        HOLDFAST_REGION_ADDRESSES: platform.regions
          .filter((other) => other.region !== region)
          .map((other) => `${other.region}=http://127.0.0.1:9`)
          .join(','),
        HOLDFAST_REGION_SECRET: 'a-secret-of-all-the-regions',
        HOLDFAST_CLAIM_ENDPOINT: access.endpoint ?? '',
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      },
    });
    onTestFinished(() => gateway.stop().then(() => undefined));
    return gateway;
  };
  return { [east]: await start(east), [west]: await start(west) };
}

const variablesOf = (container: unknown): Readonly<Record<string, string>> =>
  Object.fromEntries(
    listAt(container, 'env').map((variable) => [String(at(variable, 'name')), String(at(variable, 'value'))]),
  );

/**
 * The pod's own command, variables and files. Of the arguments the folder and the port are this test's, since no namespace keeps
 * them apart, and it looks more often.
 */
export async function startWatch(
  objects: readonly Manifest[],
  more: Readonly<Record<string, string>>,
  addresses: readonly string[],
) {
  const folder = await temporaryDirectory();
  const port = await freePort();
  const container = at(find(objects, 'Deployment', kubernetes.regionWatch), 'spec.template.spec.containers.0');
  const mounted = String(at(container, 'volumeMounts.0.mountPath'));
  const files = Object(at(find(objects, 'ConfigMap', kubernetes.regionWatch), 'data'));
  await mkdir(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), String(text));
  const [, entry = '', ...command] = listAt(container, 'command').map(String);
  const args = listAt(container, 'args').map((arg) =>
    String(arg)
      .replace(mounted, folder)
      .replace(/^--listen=.*/, `--listen=${port}`)
      .replace(/^--watch=.*/, '--watch=5'),
  );
  const logFile = join(folder, 'output.log');
  const running = await launch({
    command: process.execPath,
    args: [join(thisCheckout, entry), ...command, ...args, ...addresses.flatMap((one) => ['--address', one])],
    environment: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      ...variablesOf(container),
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...more,
    },
    logFile,
    signalAtParentExit: 'SIGKILL',
  });
  const stop = () => stopProcess(running, [{ signal: 'SIGTERM', patienceSeconds: 10 }]);
  onTestFinished(() => stop().then(() => undefined));
  const read = async (path: string): Promise<{ status: number; text: string }> => {
    try {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(5_000) });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      // Not listening yet.
      if (error instanceof TypeError) return { status: 0, text: '' };
      throw error;
    }
  };
  return {
    stop,
    read,
    /** Value of each check of a region. */
    checks: async (region: string): Promise<ReadonlyMap<string, number>> =>
      new Map(
        [...(await read('/metrics')).text.matchAll(/^holdfast_region_ready\{region="(.+)",check="(.+)"\} (\d)$/gm)]
          .filter(([, of]) => of === region)
          .map(([, , check = '', value]) => [check, Number(value)]),
      ),
    /** Seconds since 1970. */
    lookedAt: async (region: string): Promise<number> => {
      const line = new RegExp(`^holdfast_region_ready_checked_timestamp_seconds\\{region="${region}"\\} (\\d+)$`, 'm');
      return Number(line.exec((await read('/metrics')).text)?.[1]);
    },
    lines: async (): Promise<unknown[]> => {
      const text = await readFile(logFile, 'utf8');
      return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
    },
  };
}
