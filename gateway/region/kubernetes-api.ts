/**
 * The Kubernetes API as a pod asks it: over HTTPS, with its service account's token, of its own namespace. Every call is bounded
 * and tried once. Shared with the runbooks, which look at their own cluster by it.
 */
import { readFile } from 'node:fs/promises';
import { request as requestPlain } from 'node:http';
import { request as requestSecure } from 'node:https';
import { join } from 'node:path';
import { z } from 'zod';

export interface KubernetesPlace {
  /** Of the API, without a slash at the end. */
  readonly server: string;
  /** Folder with `token`, `namespace` and `ca.crt`, as it is mounted into every pod. Read anew each time: tokens are replaced. */
  readonly accountDirectory: string;
}

export interface KubernetesCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** For example `apps/v1`. */
  readonly group: string;
  /** Below the namespace: `deployments`, `leases/NAME`. */
  readonly path: string;
  readonly body?: string;
  /** Statuses that are answers. */
  readonly expected: readonly number[];
  /** Beside the call's own bound. */
  readonly signal?: AbortSignal;
}

/** The API did not do what it was asked. */
export class KubernetesApiError extends Error {
  readonly status: number;
  constructor(method: string, path: string, status: number, reason: string) {
    super(`the Kubernetes API answered ${method} ${path} with ${status} ${reason}`.trim());
    this.name = 'KubernetesApiError';
    this.status = status;
  }
}

const timeoutMs = 3_000;
const largestAnswerBytes = 1024 * 1024;
const reasonSchema = z.object({ message: z.string() });

/** @throws KubernetesApiError when the answer is none of those that are expected. */
export async function askKubernetes(
  { server, accountDirectory }: KubernetesPlace,
  { method, group, path, body, expected, signal }: KubernetesCall,
): Promise<{ status: number; body: unknown }> {
  const [token, namespace] = await Promise.all(
    ['token', 'namespace'].map((file) => readFile(join(accountDirectory, file), 'utf8')),
  );
  const url = new URL(`${server}/apis/${group}/namespaces/${encodeURIComponent(namespace?.trim() ?? '')}/${path}`);
  const isSecure = url.protocol === 'https:';
  const ca = isSecure ? await readFile(join(accountDirectory, 'ca.crt')) : undefined;
  const headers = {
    authorization: `Bearer ${token?.trim() ?? ''}`,
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const bound = AbortSignal.timeout(timeoutMs);
  const stop = signal === undefined ? bound : AbortSignal.any([signal, bound]);
  const answer = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = { method, headers, signal: stop, agent: false, ...(ca && { ca }) };
    const asked = (isSecure ? requestSecure : requestPlain)(url, options, (response) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        bytes += piece.length;
        if (bytes > largestAnswerBytes) response.destroy(new Error('the answer of the Kubernetes API is too long'));
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
  const content = parsed(answer.text);
  if (expected.includes(answer.status)) return { status: answer.status, body: content };
  const reason = reasonSchema.safeParse(content);
  throw new KubernetesApiError(method, url.pathname, answer.status, reason.success ? reason.data.message : '');
}

/** A proxy in between may answer with a page. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
