/** What this region answers when another one asks. Every question is signed; every one may be repeated. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { NotWriter, OutcomeUnknown, StoreUnavailable } from '../domain/keys.ts';
import type { RegionAnswer, RegionState } from '../domain/region.ts';
import { type BudgetSlices, LogClosed, type ShownSlices } from '../domain/slices.ts';
import { type SpendLedger, SpendRefused } from '../domain/spend.ts';
import type { LinkSignature } from '../region/signature.ts';
import type { KeyDenials } from '../stores/key-denials.ts';
import type { RegionRows } from '../stores/region.ts';
import { showSlices } from './confirmed-grants.ts';
import type { Denials } from './denials.ts';
import { linkStatus } from './peer-link.ts';

export interface RegionAnswersOptions {
  readonly region: string;
  readonly state: () => RegionState;
  readonly signature: LinkSignature;
  readonly wallNow: () => number;
  /** The own database, whichever it is: it refuses what it may not take. */
  readonly local: SpendLedger;
  /** What the own database grants, as far as it may be spent. */
  readonly budgets: BudgetSlices;
  /** What the own database shows, be it a replica or not. */
  readonly slices: ShownSlices;
  readonly rows: Pick<RegionRows, 'shownLease'>;
  readonly rowsOf: (keyHash: string) => Promise<readonly object[]>;
  readonly denials: () => Denials | undefined;
  readonly stored: Pick<KeyDenials, 'after' | 'apply'>;
  readonly onError: (error: Error) => void;
}

const logId = z.uuid();
const hash = z.string().regex(/^[0-9a-f]{64}$/);
const position = z.int().min(0);
const claimed = z.object({
  account: z.string(),
  granted: z.number(),
  returned: z.number(),
  want: z.number(),
  slack: z.number(),
  ticket: z.number(),
});
const questions = {
  ship: z.object({ logId, firstSeq: position }),
  skip: z.object({ logId, toSeq: position }),
  positions: z.object({ logIds: z.array(logId).max(10_000) }),
  close: z.object({ logId, lastSeq: position }),
  touch: z.object({ logId }),
  grant: z.object({ logId, claims: z.array(claimed).max(10_000) }),
  slices: z.object({ logId, wanted: z.array(z.tuple([z.string(), z.number()])).max(10_000) }),
  key: z.object({ keyHash: hash }),
  denials: z.object({ epoch: position, after: position }),
  deny: z.object({ denials: z.array(z.object({ id: z.uuid(), keyHash: hash, actor: z.string() })).max(1_000) }),
};

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export class RegionAnswers {
  readonly #options: RegionAnswersOptions;

  constructor(options: RegionAnswersOptions) {
    this.#options = options;
  }

  /** Never rejects. @returns undefined when nobody of ours asks. */
  async answer(call: string, path: string, headers: Headers, body: Buffer): Promise<RegionAnswer | undefined> {
    const { signature, wallNow } = this.#options;
    if (signature.verify(headers, path, body, wallNow()) === undefined) return undefined;
    const { status, content } = await this.#work(call, body.toString()).catch((error: unknown) => this.#failure(error));
    const text = Buffer.from(JSON.stringify(content));
    return {
      status,
      headers: { 'content-type': 'application/json', ...signature.answer(headers, status, text) },
      body: text,
    };
  }

  async #work(call: string, text: string): Promise<{ status: number; content: unknown }> {
    const [first = '', ...lines] = text.split('\n');
    const question: unknown = JSON.parse(first);
    return { status: 200, content: await this.#answerOf(call, question, lines) };
  }

  async #answerOf(call: string, question: unknown, lines: readonly string[]): Promise<unknown> {
    const { local, budgets, slices, rows, rowsOf, stored } = this.#options;
    switch (call) {
      case 'ship': {
        const { logId: log, firstSeq } = questions.ship.parse(question);
        return { applied: await local.ship(log, firstSeq, lines) };
      }
      case 'skip': {
        const { logId: log, toSeq } = questions.skip.parse(question);
        return { applied: await local.skip(log, toSeq) };
      }
      case 'positions':
        this.#requireWriter();
        return this.#positions(question);
      case 'shown':
        // Of this database as it is, be it ahead of the writer's by nothing or behind it by hours.
        return this.#positions(question);
      case 'close': {
        const { logId: log, lastSeq } = questions.close.parse(question);
        return { closed: await local.close(log, lastSeq) };
      }
      case 'touch':
        return local.touch(questions.touch.parse(question).logId);
      case 'grant': {
        this.#requireWriter();
        // The newest claim counts, also while it has reached a minority only: no candidate is relied on for another's epoch.
        if (this.#options.state().writer !== this.#options.region) throw new NotWriter('another-epoch');
        const { logId: log, claims } = questions.grant.parse(question);
        return budgets.grant(log, claims);
      }
      case 'slices': {
        const { logId: log, wanted } = questions.slices.parse(question);
        const now = (): number => performance.now();
        return { shown: [...(await showSlices(slices, log, wanted, { now, sleep }))] };
      }
      case 'replayed':
        return rows.shownLease();
      case 'key':
        this.#requireWriter();
        return { rows: await rowsOf(questions.key.parse(question).keyHash) };
      case 'denials': {
        const asked = questions.denials.parse(question);
        const { epoch } = this.#options.state();
        return (await this.#options.denials()?.feed(asked)) ?? { epoch, stored: [], pending: [] };
      }
      case 'deny': {
        const { denials } = questions.deny.parse(question);
        return { applied: [...(await stored.apply(denials))] };
      }
      default:
        throw new UnknownCall(call);
    }
  }

  async #positions(question: unknown): Promise<object> {
    const found = await this.#options.local.positions(questions.positions.parse(question).logIds);
    return { positions: [...found].map(([id, { appliedSeq, closed }]) => [id, appliedSeq, closed]) };
  }

  /** Whoever asks believes that this is the writer: a replica's answer would be an old one. */
  #requireWriter(): void {
    const { standing } = this.#options.state();
    if (standing === 'standby' || standing === 'promoted') throw new NotWriter('another-epoch');
  }

  #failure(error: unknown): { status: number; content: object } {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof NotWriter) {
      const { epoch, writer } = this.#options.state();
      return { status: linkStatus.notWriter, content: { message, reason: error.reason, epoch, writer } };
    }
    if (error instanceof LogClosed) return { status: linkStatus.logClosed, content: { message } };
    if (error instanceof SpendRefused) return { status: linkStatus.refused, content: { message } };
    if (error instanceof UnknownCall) return { status: 404, content: { message } };
    if (error instanceof z.ZodError || error instanceof SyntaxError) return { status: 400, content: { message } };
    if (!(error instanceof StoreUnavailable || error instanceof OutcomeUnknown)) {
      this.#options.onError(error instanceof Error ? error : new Error(message));
    }
    return { status: linkStatus.unavailable, content: { message } };
  }
}

/** A newer region may know more calls than this one. */
class UnknownCall extends Error {
  constructor(call: string) {
    super(`this gateway knows no call ${call.slice(0, 50)}`);
    this.name = 'UnknownCall';
  }
}
