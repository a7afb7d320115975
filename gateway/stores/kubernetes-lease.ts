/**
 * The lease of a leader as Kubernetes keeps it (coordination.k8s.io/v1), asked of the API over HTTPS with the service
 * account's token. Clocks of machines are not compared: a lease is over when it was seen unchanged for its whole length on
 * one's own clock. What only a leader may write is fenced in the database, by the same number of the lease's transitions.
 */
import { z } from 'zod';
import { askKubernetes, type KubernetesPlace } from '../region/kubernetes-api.ts';
import type { LeaseHolding } from './leader-lease.ts';

export interface KubernetesLeaseOptions extends KubernetesPlace {
  readonly name: string;
  readonly leaseSeconds: number;
  /** The row that writes look at. */
  readonly fence: { hold(holder: string, epoch: bigint): Promise<{ readonly holder: string; readonly epoch: bigint }> };
  /** Monotonic, milliseconds. */
  readonly now: () => number;
  readonly wallNow: () => number;
}

const leaseSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), resourceVersion: z.string() }),
  spec: z
    .looseObject({
      holderIdentity: z.string().nullish(),
      leaseDurationSeconds: z.number().nullish(),
      acquireTime: z.string().nullish(),
      renewTime: z.string().nullish(),
      leaseTransitions: z.number().int().nullish(),
    })
    .default({}),
});
type Lease = z.output<typeof leaseSchema>;

export class KubernetesLease {
  readonly #options: KubernetesLeaseOptions;
  #seen: { readonly resourceVersion: string; readonly atMs: number } | undefined;

  constructor(options: KubernetesLeaseOptions) {
    this.#options = options;
  }

  /** Takes the lease if it can be had, renews it if it is one's own. @returns who leads now. @throws KubernetesApiError */
  async take(holder: string): Promise<LeaseHolding> {
    const found = await this.#read();
    if (found === undefined) {
      const made = await this.#write('POST', undefined, holder, 1n);
      return made === undefined ? this.#theirs(await this.#mustRead()) : this.#fenced(made, holder);
    }
    this.#see(found);
    const isOwn = found.spec.holderIdentity === holder;
    if (!isOwn && this.#remainingMs(found) > 0) return this.#theirs(found);
    const epoch = isOwn ? epochOf(found) : epochOf(found) + 1n;
    const taken = await this.#write('PUT', found, holder, epoch);
    // Another one was quicker.
    return taken === undefined ? this.#theirs(await this.#mustRead()) : this.#fenced(taken, holder);
  }

  /** @returns whether it was this holder's to give up. */
  async resign(holder: string): Promise<boolean> {
    const found = await this.#read();
    if (found === undefined || found.spec.holderIdentity !== holder) return false;
    return (await this.#write('PUT', found, '', epochOf(found))) !== undefined;
  }

  /** Epochs never go back, also when the row had leaders before this lease was there. */
  async #fenced(lease: Lease, holder: string): Promise<LeaseHolding> {
    this.#see(lease);
    const epoch = epochOf(lease);
    const row = await this.#options.fence.hold(holder, epoch);
    if (row.epoch === epoch && row.holder === holder) return { holder, epoch, remainingMs: this.#remainingMs(lease) };
    const raised = await this.#write('PUT', lease, holder, row.epoch + 1n);
    if (raised === undefined) return this.#theirs(await this.#mustRead());
    this.#see(raised);
    const again = await this.#options.fence.hold(holder, epochOf(raised));
    if (again.holder === holder && again.epoch === epochOf(raised)) {
      return { holder, epoch: again.epoch, remainingMs: this.#remainingMs(raised) };
    }
    throw new Error('the database knows a later leader than the Kubernetes lease; it is asked again');
  }

  #theirs(lease: Lease): LeaseHolding {
    this.#see(lease);
    return {
      holder: lease.spec.holderIdentity ?? '',
      epoch: epochOf(lease),
      remainingMs: this.#remainingMs(lease),
    };
  }

  #see({ metadata: { resourceVersion } }: Lease): void {
    if (this.#seen?.resourceVersion !== resourceVersion) this.#seen = { resourceVersion, atMs: this.#options.now() };
  }

  /** By this process's clock since it saw the lease change. Nobody's lease is over at once. */
  #remainingMs({ spec: { holderIdentity, leaseDurationSeconds } }: Lease): number {
    if (holderIdentity === undefined || holderIdentity === null || holderIdentity === '') return 0;
    const { now, leaseSeconds } = this.#options;
    const endMs = (this.#seen?.atMs ?? now()) + (leaseDurationSeconds ?? leaseSeconds) * 1000;
    return Math.max(0, endMs - now());
  }

  async #mustRead(): Promise<Lease> {
    const found = await this.#read();
    if (found === undefined) throw new Error(`the Kubernetes lease ${this.#options.name} was deleted`);
    return found;
  }

  async #read(): Promise<Lease | undefined> {
    const { status, body } = await this.#ask('GET', `/${this.#options.name}`, undefined, [200, 404]);
    return status === 404 ? undefined : leaseSchema.parse(body);
  }

  /** @returns undefined when somebody else wrote meanwhile. */
  async #write(
    method: 'POST' | 'PUT',
    before: Lease | undefined,
    holder: string,
    epoch: bigint,
  ): Promise<Lease | undefined> {
    const { name, leaseSeconds, wallNow } = this.#options;
    // The API's times have microseconds.
    const renewTime = new Date(wallNow()).toISOString().replace('Z', '000Z');
    const isSame = before?.spec.holderIdentity === holder;
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...before?.metadata, name },
      spec: {
        ...before?.spec,
        holderIdentity: holder,
        leaseDurationSeconds: Math.ceil(leaseSeconds),
        acquireTime: isSame ? before.spec.acquireTime : renewTime,
        renewTime,
        leaseTransitions: Number(epoch),
      },
    };
    const path = method === 'PUT' ? `/${name}` : '';
    const { status, body } = await this.#ask(method, path, JSON.stringify(lease), [200, 201, 409]);
    return status === 409 ? undefined : leaseSchema.parse(body);
  }

  #ask(
    method: 'GET' | 'POST' | 'PUT',
    path: string,
    body: string | undefined,
    expected: readonly number[],
  ): Promise<{ status: number; body: unknown }> {
    const call = { method, group: 'coordination.k8s.io/v1', path: `leases${path}`, expected };
    return askKubernetes(this.#options, { ...call, ...(body === undefined ? {} : { body }) });
  }
}

const epochOf = ({ spec }: Lease): bigint => BigInt(spec.leaseTransitions ?? 0);
