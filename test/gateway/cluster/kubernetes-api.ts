/** Leases as the Kubernetes API keeps them: compare-and-swap by `resourceVersion`, 409 for whoever comes second. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

export interface KubernetesApi {
  readonly url: string;
  /** Token that is let in. */
  token: string;
  /** Answers of writes wait for it: two that have read the same version then write it both. */
  beforeWrite: () => Promise<void>;
  readonly leases: Map<string, Lease>;
  readonly asked: { readonly method: string; readonly path: string }[];
  close(): Promise<void>;
}

const leaseSchema = z.object({
  apiVersion: z.literal('coordination.k8s.io/v1'),
  kind: z.literal('Lease'),
  metadata: z.looseObject({ name: z.string(), resourceVersion: z.string().optional() }),
  spec: z.strictObject({
    holderIdentity: z.string(),
    leaseDurationSeconds: z.int().positive(),
    acquireTime: z.string().regex(/\.\d{6}Z$/),
    renewTime: z.string().regex(/\.\d{6}Z$/),
    leaseTransitions: z.int().min(0),
  }),
});
type Lease = z.output<typeof leaseSchema>;

export async function startKubernetesApi(secure?: { readonly key: string; readonly cert: string }) {
  let version = 100;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    const refuse = (code: number, reason: string): void => send(code, { kind: 'Status', code, message: reason });
    const method = request.method ?? '';
    const path = request.url ?? '';
    api.asked.push({ method, path });
    let text = '';
    for await (const piece of request) text += String(piece);
    if (request.headers.authorization !== `Bearer ${api.token}`) return refuse(401, 'Unauthorized');
    const found = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/gateways\/leases(?:\/([a-z0-9-]+))?$/.exec(path);
    if (found === null) return refuse(403, 'leases is forbidden in this namespace');
    if (method === 'GET') {
      const lease = api.leases.get(found[1] ?? '');
      return lease === undefined ? refuse(404, 'not found') : send(200, lease);
    }
    await api.beforeWrite();
    const parsed = leaseSchema.safeParse(JSON.parse(text));
    if (!parsed.success) return refuse(422, parsed.error.message);
    const lease = parsed.data;
    const before = api.leases.get(lease.metadata.name);
    if (method === 'POST' && before !== undefined) return refuse(409, 'already exists');
    if (method === 'PUT' && before === undefined) return refuse(404, 'not found');
    if (method === 'PUT' && lease.metadata.resourceVersion !== before?.metadata.resourceVersion) {
      return refuse(409, 'the object has been modified');
    }
    const stored = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(++version) } };
    api.leases.set(lease.metadata.name, stored);
    return send(method === 'POST' ? 201 : 200, stored);
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    answer(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  };
  const server = secure === undefined ? createServer(handle) : createSecureServer(secure, handle);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const api: KubernetesApi = {
    url: `${secure === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}`,
    token: 'first-token',
    beforeWrite: () => Promise.resolve(),
    leases: new Map(),
    asked: [],
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
  return api;
}
