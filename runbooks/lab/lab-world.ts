/** The two regions of this machine as the books see them: the same verbs as AWS, over real processes. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClaimStore } from '../../gateway/region/claim-store.ts';
import type { Vitals } from '../books/canary-world.ts';
import type { DrillWorld } from '../books/drill.ts';
import type { Finding } from '../books/finding.ts';
import type { FailbackWorld, Replicas } from '../books/region-failback.ts';
import type { RegionDatabase } from '../books/region-world.ts';
import { verify } from '../verify/verify.ts';
import { LabDrill } from './lab-drill.ts';
import { labReplicas } from './lab-replicas.ts';
import { LabTraffic } from './lab-traffic.ts';
import { readyGateways, startUnready } from './ready-gateways.ts';
import { regionNamed, regionNames, zonesOf } from './region-name.ts';
import { labMasterKey, type TwoRegions } from './two-regions.ts';
import { LabVitals } from './vitals.ts';

export interface LabWorldOptions {
  readonly lab: TwoRegions;
  /** Gateways that the load needs in each region. */
  readonly gateways: number;
  /** Model group of the lab's config. */
  readonly model: string;
  readonly requestsPerSecond: number;
  /** Epochs that the drilled book begins by a planned move. */
  readonly plannedEpochs?: readonly number[];
  /** Its databases note who made each key, which a drill measures by. */
  readonly notesWrites: boolean;
}

export class LabWorld implements FailbackWorld, DrillWorld {
  readonly traffic: LabTraffic;
  readonly drill: LabDrill;
  readonly replicas: Replicas;
  readonly shares: LabTraffic['shares'];
  readonly #options: LabWorldOptions;
  readonly #vitals: LabVitals;

  constructor(options: LabWorldOptions) {
    const { lab, plannedEpochs = [] } = options;
    this.#options = options;
    this.traffic = new LabTraffic(lab);
    this.shares = this.traffic.shares;
    this.drill = new LabDrill({ ...options, plannedEpochs, traffic: this.traffic });
    this.replicas = labReplicas(lab, async (name) => {
      if (options.notesWrites) await this.drill.keepWrites(name);
    });
    const gatewaysOf = (name: 'a' | 'b') => () => lab.region(name).gateways.map(({ url }) => url);
    this.#vitals = new LabVitals(new Map(regionNames.map((name) => [name, gatewaysOf(name)])));
  }

  get claims(): ClaimStore {
    return this.#options.lab.claims;
  }

  database(region: string): RegionDatabase {
    return this.#region(region).operator;
  }

  async vitals(region: string, windowSeconds: number): Promise<Vitals> {
    return this.#vitals.read(regionNamed(region), windowSeconds);
  }

  readonly capacity = {
    read: async (region: string, signal: AbortSignal) => ({
      ready: await readyGateways(this.#region(region), signal),
      needed: this.#options.gateways,
    }),
    raise: async (region: string, to: number, signal: AbortSignal) => {
      const here = this.#region(region);
      await startUnready(here, signal);
      for (let count = here.gatewayPorts.length; count < to; count++) {
        await here.addGateway(zonesOf(here.name)[count % 2] ?? '');
      }
    },
  };

  async verify(region: string, write: boolean, signal: AbortSignal): Promise<readonly Finding[]> {
    return verify({
      url: this.#region(region).addresses[0] ?? '',
      key: labMasterKey,
      model: this.#options.model,
      embeddingModel: this.#options.model,
      write,
      timeoutSeconds: 10,
      spendPatienceSeconds: 10,
      signal,
    });
  }

  async wait(seconds: number, signal: AbortSignal): Promise<void> {
    try {
      await sleep(seconds * 1000, undefined, { signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.drill.stopLoad();
    await this.#vitals.stop();
    await this.traffic.edge.stop();
  }

  #region(name: string) {
    return this.#options.lab.region(regionNamed(name));
  }
}
