/** What a restored database lacks of spend, as far as outboxes and archives tell: the same in every world. */
import type { DatabaseInUse, MissingSpend } from './database-restore.ts';

export interface SpendPlaces {
  /** Seconds since the oldest spend event that a gateway of the region has not shipped yet; undefined = nobody can tell. */
  readonly oldestUnshippedSeconds: (region: string, signal: AbortSignal) => Promise<number | undefined>;
  /** Events of the last moments are on their way at all times. */
  readonly drainedSeconds: number;
  /**
   * Books the archived spend of all regions into the region's database, as `holdfast spend reingest` does; undefined = there
   * is no archive. May be repeated.
   */
  readonly reingest?: ((region: string, signal: AbortSignal) => Promise<BookedSpend>) | undefined;
}

/** What archives had, and what they lack. */
export interface BookedSpend {
  /** Events that neither archives nor database have. */
  readonly missing: number;
  /** Logs of processes that are gone whose end no archive has: what it lacks of them is on their disks alone. */
  readonly unfinished: number;
}

export class ArchivedSpend implements Pick<DatabaseInUse, 'missingSpend' | 'reingest'> {
  readonly #places: SpendPlaces;
  /** By region; known once its archive was gone through. A run that is resumed goes through it again. */
  readonly #booked = new Map<string, BookedSpend>();

  constructor(places: SpendPlaces) {
    this.#places = places;
  }

  readonly missingSpend = async (region: string, signal: AbortSignal): Promise<MissingSpend> => {
    const { oldestUnshippedSeconds, drainedSeconds, reingest } = this.#places;
    const oldest = await oldestUnshippedSeconds(region, signal);
    if (oldest === undefined || oldest > drainedSeconds) return { events: undefined, isBeingShipped: true };
    // What had left the outboxes after the backup is in the archive alone, if there is one.
    if (reingest === undefined) return { events: undefined, isBeingShipped: false };
    const booked = this.#booked.get(region);
    if (booked === undefined) return { events: 'archived', isBeingShipped: false };
    return { events: 0, isBeingShipped: false, lost: booked.missing, unfinished: booked.unfinished };
  };

  readonly reingest = async (region: string, _token: string, signal: AbortSignal): Promise<void> => {
    const { reingest } = this.#places;
    if (reingest === undefined) throw new Error('there is no archive of what the outboxes have shipped');
    this.#booked.set(region, await reingest(region, signal));
  };

  /** Another database took the place of the one that the archive was gone through for. */
  begin(region: string): void {
    this.#booked.delete(region);
  }
}
