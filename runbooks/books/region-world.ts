/** What the books about regions need of the world: few verbs, each to be read back. The lab and AWS implement it. */
import type { RegionRow } from '../../gateway/region/claim.ts';
import type { ClaimStore } from '../../gateway/region/claim-store.ts';
import type { Finding } from './finding.ts';

/** Every book ends with this. */
export interface VerifiedWorld {
  /**
   * Asks the region's gateways as a client does: what `holdfast verify --write` asks.
   * @param write whether control-plane writes must be acknowledged, too.
   */
  verify(region: string, write: boolean, signal: AbortSignal): Promise<readonly Finding[]>;
}

export interface WaitingWorld {
  /** @throws the signal's reason when it fires first. */
  wait(seconds: number, signal: AbortSignal): Promise<void>;
}

export interface CapacityWorld {
  readonly capacity: RegionCapacity;
}

/** Every method takes the step's signal, ends with it, and rejects when the world cannot be asked. */
export interface RegionWorld extends VerifiedWorld, WaitingWorld, CapacityWorld {
  readonly claims: ClaimStore;
  /** Of one region. */
  database(region: string): RegionDatabase;
  readonly traffic: RegionTraffic;
  /** Absent where every region has a cache of its own. */
  readonly globalCache?: GlobalCache;
}

/** One cache over all regions, of which one region's part takes writes. Its verbs are harmless when repeated. */
export interface GlobalCache {
  /** `alone` = it belongs to none, and takes writes as well. */
  view(region: string, signal: AbortSignal): Promise<GlobalCacheView>;
  promote(region: string, signal: AbortSignal): Promise<void>;
  detach(region: string, signal: AbortSignal): Promise<void>;
}

export interface GlobalCacheView {
  readonly is: 'leads' | 'follows' | 'moving' | 'alone';
  readonly note: string;
}

export interface RegionDatabase {
  view(signal: AbortSignal): Promise<DatabaseStatus>;
  /** Asks for the promotion and returns; `view` tells when it is done. Harmless when it is a primary already. */
  promote(token: string, signal: AbortSignal, by?: PromotionWay): Promise<void>;
  /** Takes no control-plane write any more once this has returned, those under way included. */
  close(signal: AbortSignal): Promise<void>;
  /** Puts the row that `raised` gives; nothing changes when the row has that epoch or a higher one. */
  raise(epoch: number, writer: string, signal: AbortSignal): Promise<void>;
}

/** Exactly one of the two promotes: `stack` updates the stack's parameter, `rds` asks the service itself. */
export type PromotionWay = 'stack' | 'rds';

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
  /** Pods of gateways, and of what traffic passes before them, that can serve; and how many the load needs. */
  read(region: string, signal: AbortSignal): Promise<Capacity>;
  raise(region: string, to: number, signal: AbortSignal): Promise<void>;
}

export interface Capacity {
  readonly ready: number;
  readonly needed: number;
}
