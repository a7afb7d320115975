/** What the books about regions need of the world: few verbs, each to be read back. The lab and AWS implement it. */
import type { RegionRow } from '../../gateway/region/claim.ts';
import type { ClaimStore } from '../../gateway/region/claim-store.ts';

/** Every method takes the step's signal, ends with it, and rejects when the world cannot be asked. */
export interface RegionWorld {
  readonly claims: ClaimStore;
  /** Of one region. */
  database(region: string): RegionDatabase;
  traffic: RegionTraffic;
  capacity: RegionCapacity;
  /** Asks the region's gateways as a client does. */
  probe(region: string, signal: AbortSignal): Promise<ProbeResult>;
  /** @throws the signal's reason when it fires first. */
  wait(seconds: number, signal: AbortSignal): Promise<void>;
}

export interface RegionDatabase {
  view(signal: AbortSignal): Promise<DatabaseStatus>;
  /** Asks for the promotion and returns; `view` tells when it is done. Harmless when it is a primary already. */
  promote(token: string, signal: AbortSignal): Promise<void>;
  /** Takes no control-plane write any more once this has returned, those under way included. */
  close(signal: AbortSignal): Promise<void>;
  /** Puts the row that `raised` gives; nothing changes when the row has that epoch or a higher one. */
  raise(epoch: number, writer: string, signal: AbortSignal): Promise<void>;
}

export interface DatabaseStatus {
  readonly role: 'primary' | 'replica' | 'being-promoted';
  readonly row: RegionRow;
  /** Seconds of the newest change of the source that the replica lacks; 0 on a primary, undefined = unknown. */
  readonly lagSeconds: number | undefined;
}

/** On the data plane: health checks that see an object, no change of a record. */
export interface RegionTraffic {
  /** The run that takes the traffic over to this region; undefined = nobody does. */
  takeover(region: string, signal: AbortSignal): Promise<string | undefined>;
  takeOver(region: string, runId: string, epoch: number, signal: AbortSignal): Promise<void>;
  giveBack(region: string, signal: AbortSignal): Promise<void>;
}

export interface RegionCapacity {
  /** Pods of gateways that can serve, and how many the load needs. */
  read(region: string, signal: AbortSignal): Promise<{ readonly ready: number; readonly needed: number }>;
  raise(region: string, to: number, signal: AbortSignal): Promise<void>;
}

export interface ProbeResult {
  readonly completion: boolean;
  /** A control-plane write that was acknowledged and read back. */
  readonly write: boolean;
  /** What was not as it should be. */
  readonly faults: readonly string[];
}
