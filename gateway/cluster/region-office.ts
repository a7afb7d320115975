/** This process among the regions: everything that depends on who writes, made once and handed to whoever needs it. */
import { z } from 'zod';
import { StoreUnavailable } from '../domain/keys.ts';
import type { PassedOn, RegionAnswer, RegionDesk, RegionState, WriteRoute } from '../domain/region.ts';
import type { BudgetSlices, ShownSlices } from '../domain/slices.ts';
import type { SpendLedger } from '../domain/spend.ts';
import type { ClaimStore } from '../region/claim-store.ts';
import { type RegionRules, regionRules } from '../region/rules.ts';
import { LinkSignature } from '../region/signature.ts';
import { type AskWriter, type IdentityStore, toKindRows } from '../stores/identity.ts';
import { KeyDenials } from '../stores/key-denials.ts';
import type { Pool } from '../stores/postgres.ts';
import { RegionRows } from '../stores/region.ts';
import type { WriteRight } from '../stores/write-transaction.ts';
import type { Logger } from '../telemetry/log.ts';
import { Candidates } from './candidates.ts';
import { ConfirmedGrants } from './confirmed-grants.ts';
import { DenialLog } from './denial-log.ts';
import { Denials } from './denials.ts';
import { PeerLink } from './peer-link.ts';
import { RegionAnswers } from './region-answers.ts';
import { RegionWatch } from './region-watch.ts';
import { ShownSpend } from './shown-spend.ts';
import { writeRouteOf } from './write-route.ts';
import { WriterLedger } from './writer-ledger.ts';

export interface RegionOfficeOptions {
  readonly region: string;
  readonly addresses: ReadonlyMap<string, string>;
  /** All regions have the same. */
  readonly secret: string;
  /** Undefined: there is no claim, and the database's row alone says who writes. */
  readonly claims: ClaimStore | undefined;
  readonly pool: Pool;
  readonly keys: IdentityStore;
  readonly local: SpendLedger;
  readonly localBudgets: BudgetSlices & ShownSlices;
  /** A slice may be spent only once all candidates show it; read each time. */
  readonly strictBudgets: () => boolean;
  /** What is not in any replica for longer is refused: changes and new slices. Undefined = nothing is. */
  readonly refuseBeyondRpoSeconds: number | undefined;
  readonly dataDirectory: string;
  /** Only the leader of the region's database renews the claim. */
  readonly isLeader: () => boolean;
  /** The newest epoch has risen: connections may lead to a server that wrote in an older one. */
  readonly onNewEpoch: () => void;
  /** Tells the other processes of the region something that each must know once, by its id. */
  readonly tellSiblings?: (id: string, text: string) => void;
  readonly logger: Logger;
  /** For tests alone: see RegionRules. */
  readonly rules?: RegionRules;
}

const keyTimeoutMs = 2_000;
const rowsSchema = z.object({
  rows: z.array(z.object({ kind: z.string(), row: z.record(z.string(), z.unknown()) }).loose()),
});

export class RegionOffice implements RegionDesk {
  readonly region: string;
  readonly watch: RegionWatch;
  readonly right: WriteRight;
  /** Spend and budgets, at the writer. */
  readonly ledger: WriterLedger;
  readonly shown: ShownSpend;
  /** Replicas that a failover may promote, seen from the writer region. */
  readonly candidates: Candidates;
  readonly grants: ConfirmedGrants;
  readonly denials: Denials;
  readonly #options: RegionOfficeOptions;
  readonly #link: PeerLink;
  readonly #answers: RegionAnswers;

  constructor(options: RegionOfficeOptions) {
    const { region, addresses, pool, keys, local, localBudgets, logger, rules = regionRules } = options;
    this.#options = options;
    this.region = region;
    const signature = new LinkSignature(options.secret);
    const wallNow = Date.now;
    const state = (): RegionState => this.watch.state;
    const rows = new RegionRows(pool);
    this.watch = new RegionWatch({
      region,
      claims: options.claims,
      rows,
      rules,
      isLeader: options.isLeader,
      onChange: (next) => this.#changed(next),
    });
    this.right = {
      region,
      rules,
      epoch: () => (state().epoch === 0 ? undefined : state().epoch),
      ttlSeconds: () => state().ttlSeconds,
      refused: () => this.watch.look(),
      isBeyondRpo: () => this.isBeyondRpo,
    };
    const onHeard = (epoch: number, writer: string): void => this.watch.hear(epoch, writer);
    this.#link = new PeerLink({ region, addresses, signature, wallNow, onHeard });
    const look = (): Promise<void> => this.watch.look();
    const onError = (what: string) => (error: Error) => logger.debug({ err: error }, what);
    const now = (): number => performance.now();
    const link = this.#link;
    this.candidates = new Candidates({ region, state, rows, link, now, onError: onError('a candidate was not heard') });
    this.grants = new ConfirmedGrants({
      local: localBudgets,
      candidates: this.candidates,
      link,
      isStrict: options.strictBudgets,
      isBeyondRpo: () => this.isBeyondRpo,
      now,
    });
    this.ledger = new WriterLedger({ region, state, local, localBudgets: this.grants, link, look });
    this.shown = new ShownSpend({
      region,
      state,
      local,
      link: this.#link,
      rules,
      onError: onError('a candidate did not show its spend'),
    });
    // Shutting a key out only restricts, so nothing that a failover may lose forbids it.
    const stored = new KeyDenials(pool, { ...this.right, isBeyondRpo: () => false });
    this.denials = new Denials({
      region,
      state,
      log: new DenialLog(options.dataDirectory),
      stored,
      link: this.#link,
      deny: (keyHash, revision) => keys.deny(keyHash, revision),
      tell: (id, text) => options.tellSiblings?.(id, text),
      wallNow,
      now: () => performance.now(),
      onError: onError('a region did not take or tell which keys are shut out'),
    });
    this.#answers = new RegionAnswers({
      region,
      state,
      signature,
      wallNow,
      local,
      budgets: this.grants,
      slices: localBudgets,
      rows,
      rowsOf: (keyHash) => keys.rowsOf(keyHash),
      denials: () => this.denials,
      stored,
      onError: (error) => logger.warn({ err: error }, 'a question of another region failed'),
    });
    keys.askWriter = () => this.#askWriter();
  }

  get state(): RegionState {
    return this.watch.state;
  }

  get candidateLagsMs(): ReadonlyMap<string, number> {
    return this.candidates.lagsMs;
  }

  /** A failover would lose more than may be lost, and whoever runs this wants nothing to be taken then. */
  get isBeyondRpo(): boolean {
    const { refuseBeyondRpoSeconds: most } = this.#options;
    return most !== undefined && this.candidates.shortestLagMs > most * 1000;
  }

  /** Seconds since each other region's feed of denials was heard; undefined = never. */
  get feedSilentSeconds(): ReadonlyMap<string, number | undefined> {
    return new Map(this.#link.others.map((name) => [name, this.denials.silentSeconds(name)]));
  }

  /** Resolves after the first look, whatever it found, or when `withinMs` have passed. */
  async start(withinMs: number): Promise<void> {
    await this.denials.start();
    this.shown.start();
    this.candidates.start();
    await Promise.race([this.watch.look(), new Promise<void>((resolve) => setTimeout(resolve, withinMs).unref())]);
    this.watch.start();
  }

  /** Call when nothing is to be shipped any more: nobody is waited for. */
  async stop(): Promise<void> {
    this.#link.close();
    await Promise.all([this.watch.stop(), this.denials.stop(), this.shown.stop(), this.candidates.stop()]);
  }

  writeRoute(forwarded: boolean): WriteRoute {
    return writeRouteOf(this.state, this.region, (name) => this.#options.addresses.has(name), forwarded);
  }

  look(): Promise<void> {
    return this.watch.look();
  }

  passOn(region: string, request: PassedOn, timeoutMs: number): Promise<RegionAnswer> {
    const headers = {
      ...request.headers,
      'x-holdfast-forwarded-by': this.region,
      'x-holdfast-epoch': String(this.state.epoch),
    };
    return this.#link.passOn(region, { ...request, headers }, timeoutMs);
  }

  answer(
    call: string,
    path: string,
    headers: Readonly<Record<string, string | readonly string[] | undefined>>,
    body: Buffer,
  ): Promise<RegionAnswer | undefined> {
    return this.#answers.answer(call, path, headers, body);
  }

  async deny(keyHash: string, actor: string): Promise<void> {
    // Older secrets of the key that still work, too.
    const hashes = this.#options.keys.memory.secretsOf(keyHash);
    await Promise.all(hashes.map((hash) => this.denials.deny(hash, actor)));
  }

  #askWriter(): AskWriter | undefined {
    const { writer } = this.state;
    if (writer === undefined || writer === this.region) return undefined;
    return async (keyHash) => {
      try {
        const answer = await this.#link.call(writer, 'key', JSON.stringify({ keyHash }), keyTimeoutMs);
        return toKindRows(rowsSchema.parse(answer).rows);
      } catch (error) {
        throw error instanceof StoreUnavailable ? error : new StoreUnavailable(error);
      }
    };
  }

  #changed(next: RegionState): void {
    const { logger, onNewEpoch } = this.#options;
    const { standing, epoch, writer, phase, faults } = next;
    logger.warn({ standing, epoch, writer, phase, faults }, 'the region stands differently');
    if (epoch > this.#epoch) {
      this.#epoch = epoch;
      onNewEpoch();
    }
  }

  #epoch = 0;
}
