/**
 * The texts of records: JSON in the words of the ledger's function `ship_events`, so that they are sent as they lie on
 * disk. The first member tells what a record is. Nothing that a client says may make PostgreSQL refuse a text. Pure.
 */
import { createHash } from 'node:crypto';
import type { SpendEvent, SpendIntent } from '../domain/spend.ts';

/** First record of a segment. `firstSeq` is the number of the first end in it. */
export const segmentText = (segment: number, firstSeq: number): string => `{"segment":${segment},"first":${firstSeq}}`;

export type RecordText =
  | { readonly is: 'segment'; readonly firstSeq: number }
  /** A request that calls upstreams from here on. */
  | { readonly is: 'begin'; readonly id: string }
  /** Only these have numbers. */
  | { readonly is: 'end'; readonly id: string };

/** @returns undefined for a text that is none of ours. */
export function readRecordText(text: string): RecordText | undefined {
  if (text.startsWith('{"id":"')) return { is: 'end', id: idAt(text, 7) };
  if (text.startsWith('{"begins":"')) return { is: 'begin', id: idAt(text, 11) };
  const [, first] = /^{"segment":\d+,"first":(\d+)}$/.exec(text) ?? [];
  return first === undefined ? undefined : { is: 'segment', firstSeq: Number(first) };
}

/** Of an end. */
export const idOf = (text: string): string => idAt(text, 7);

const idAt = (text: string, start: number): string => text.slice(start, text.indexOf('"', start));

/** @param common what `commonText` made of it before. */
export function beginText(intent: SpendIntent, common = commonText(intent)): string {
  const { requestId, modelGroup, stream } = intent;
  const own = plain(`{"begins":${shown(requestId)}${member('model_group', modelGroup)}${member('stream', stream)}`);
  return `${own ?? unclosed({ begins: requestId, model_group: modelGroup, stream })},${common}`;
}

/** @param common what `commonText` made of its intent before. */
export function endText(event: SpendEvent, common = commonText(event)): string {
  const { costMicros } = event;
  // PostgreSQL reads a text as well, and JavaScript could not read a number so large.
  const cost = costMicros === null ? undefined : costMicros > safe ? String(costMicros) : Number(costMicros);
  const own = plain(
    `{"id":${shown(event.requestId)}${member('ending', event.ending)}${member('cost', cost)}` +
      `${member('model_group', event.modelGroup)}${member('stream', event.stream)}` +
      `${member('deployment', event.deploymentId)}${member('provider', event.provider)}` +
      `${member('model', event.model)}${member('status', event.status)}` +
      `${member('prompt_tokens', event.promptTokens)}${member('completion_tokens', event.completionTokens)}` +
      `${member('cached_tokens', event.cachedTokens)}${member('estimated', event.estimated)}` +
      member('cache_hit', event.cacheHit) +
      (event.usageDetail === undefined ? '' : `,"usage_detail":${JSON.stringify(event.usageDetail)}`) +
      `${member('attempts', event.attempts)}${member('fallbacks', event.fallbacks)}` +
      `${member('first_byte_ms', event.firstByteMs)}${member('duration_ms', event.durationMs)}`,
  );
  return `${own ?? unclosed(endOf(event, cost))},${common}`;
}

/** The first part of an object that `commonText` completes; they have no member in common, and none is empty. */
const unclosed = (record: Readonly<Record<string, unknown>>): string => toText(record).slice(0, -1);

const endOf = (event: SpendEvent, cost: string | number | undefined) => ({
  id: event.requestId,
  ending: event.ending,
  cost,
  model_group: event.modelGroup,
  stream: event.stream,
  deployment: event.deploymentId ?? undefined,
  provider: event.provider ?? undefined,
  model: event.model ?? undefined,
  status: event.status,
  prompt_tokens: event.promptTokens ?? undefined,
  completion_tokens: event.completionTokens ?? undefined,
  cached_tokens: event.cachedTokens,
  estimated: event.estimated,
  cache_hit: event.cacheHit,
  usage_detail: event.usageDetail,
  attempts: event.attempts,
  fallbacks: event.fallbacks,
  first_byte_ms: event.firstByteMs,
  duration_ms: event.durationMs,
});

const safe = BigInt(Number.MAX_SAFE_INTEGER);

/** What the begin and the end of a request both say; printed once for both, as the rest of an object. */
export function commonText(intent: SpendIntent): string {
  const { accounts, tags = [], metadata } = intent;
  if (tags.length > 0 || metadata !== undefined) return toText(commonOf(intent)).slice(1);
  const text = plain(
    `"day":"${dayOf(intent.startedAtMs)}"${member('at', intent.startedAtMs)}` +
      `${member('reserved', intent.reservedMicros)}${accounts.length === 0 ? '' : `,"accounts":${listOf(accounts)}`}` +
      `${member('call', intent.callId)}${member('key', intent.keyHash)}${member('key_id', intent.keyId)}` +
      `${member('team', intent.teamId)}${member('user_id', intent.userId)}` +
      `${member('organization', intent.organizationId)}${member('end_user', intent.endUser)}` +
      `${member('operation', intent.operation)}${member('requested_model', intent.requestedModel)}}`,
  );
  return text ?? toText(commonOf(intent)).slice(1);
}

const commonOf = (intent: SpendIntent) => ({
  day: dayOf(intent.startedAtMs),
  at: intent.startedAtMs,
  reserved: intent.reservedMicros ?? undefined,
  accounts: intent.accounts.length === 0 ? undefined : intent.accounts,
  call: intent.callId,
  key: intent.keyHash,
  key_id: intent.keyId,
  team: intent.teamId,
  user_id: intent.userId,
  organization: intent.organizationId,
  end_user: intent.endUser,
  operation: intent.operation,
  requested_model: intent.requestedModel,
  tags: intent.tags === undefined || intent.tags.length === 0 ? undefined : intent.tags,
  metadata: intent.metadata,
});

// Nearly every record is printed by hand, for a fifth of the price of `JSON.stringify`. A value that needs more than
// quotes around it is noted, and then the whole is printed by `toText` instead. To look through the text for it would cost
// as much as printing: a text that was put together is copied before anybody can look through it.
let needsEscape = false;
const needsNoEscape = /^[ !#-[\]-\ud7ff\ue000-\uffff]*$/;

/** A text of values that were `shown` since the last one; undefined when one of them is not fit for it. */
function plain(text: string): string | undefined {
  const isPlain = !needsEscape;
  needsEscape = false;
  return isPlain && text.length <= longestText ? text : undefined;
}

function shown(value: string | number | boolean): string {
  if (typeof value === 'string' ? needsNoEscape.test(value) : typeof value === 'boolean' || Number.isFinite(value)) {
    return typeof value === 'string' ? `"${value}"` : String(value);
  }
  needsEscape = true;
  return '';
}

const member = (name: string, value: string | number | boolean | null | undefined): string =>
  value === undefined || value === null ? '' : `,"${name}":${shown(value)}`;

/** A caller's accounts are one list for all of its requests. */
const lists = new WeakMap<readonly string[], string>();

function listOf(values: readonly string[]): string {
  let text = lists.get(values);
  if (text === undefined) {
    text = JSON.stringify(values);
    lists.set(values, text);
  }
  if (text.includes(escape)) needsEscape = true;
  return text;
}

/** A request whose end nobody wrote: its gateway died. The cost is what was set aside for it, an upper bound. */
export function interruptedText(begin: string): string {
  const { begins, ...rest } = readObject(begin);
  return JSON.stringify({ id: begins, ending: 'interrupted', cost: rest['reserved'], ...rest });
}

const dayMs = 86_400_000;
let lastDay = Number.NaN;
let lastDayText = '';

/** Of UTC. Requests of one day come together, so the last answer is kept. */
function dayOf(atMs: number): string {
  const day = Math.floor(atMs / dayMs);
  if (day !== lastDay) {
    lastDay = day;
    lastDayText = Number.isFinite(day) ? new Date(day * dayMs).toISOString().slice(0, 10) : '';
  }
  return lastDayText;
}

/** Far above what a request has to say; only a client that tries can exceed it. */
const longestText = 16_384;
const longestName = 300;
const longestAccount = 1_000;
const mostTags = 50;
const deepest = 20;

/** Stands in JSON only for control characters and lone surrogates: PostgreSQL refuses some of either. */
const escape = '\\u';

function toText(record: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(record);
  return text.length <= longestText && !text.includes(escape) ? text : JSON.stringify(presentable(record));
}

function presentable(record: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const cleaned: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(record)) {
    if (name === 'accounts') cleaned[name] = clean(value, longestAccount, 0);
    else if (name === 'tags') cleaned[name] = clean(Array.isArray(value) ? value.slice(0, mostTags) : value);
    else cleaned[name] = clean(value);
  }
  const metadata = JSON.stringify(cleaned['metadata']);
  if (metadata !== undefined && metadata.length > longestText / 2) delete cleaned['metadata'];
  return cleaned;
}

function clean(value: unknown, longest = longestName, depth = 0): unknown {
  if (typeof value === 'string') return value.slice(0, longest).toWellFormed().replaceAll('\0', '\u{fffd}');
  if (typeof value !== 'object' || value === null) return value;
  if (depth > deepest) return null;
  if (Array.isArray(value)) return value.map((item) => clean(item, longest, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [clean(name, longest), clean(item, longest, depth + 1)]),
  );
}

/**
 * The same event with less in it, for a ledger that refuses a value: first money, accounts and key alone, then without
 * the accounts, last what the ledger takes from anybody.
 * @param step from 1. @returns undefined when nothing is left to leave out.
 */
export function reducedText(text: string, step: number): string | undefined {
  const { id, ending, cost, reserved, accounts, key, at, call } = readObject(text);
  const atMs = typeof at === 'number' && Math.abs(at) < 4e12 ? at : Date.now();
  const money = { cost: whole(cost), day: dayOf(atMs), at: atMs, reserved: whole(reserved), key: String(key), call };
  switch (step) {
    case 1:
      return toText({ id, ending, ...money, accounts });
    case 2:
      return toText({ id, ending, ...money, metadata: { accounts } });
    case 3:
      return JSON.stringify({ id: uuidFrom(text), ending: 'broken', day: money.day, at: atMs, key: 'unreadable' });
    default:
      return undefined;
  }
}

const whole = (value: unknown): unknown =>
  Number.isSafeInteger(value) || (typeof value === 'string' && /^\d{1,18}$/.test(value)) ? value : undefined;

/** Of the text itself, so that a repetition has the same one. */
function uuidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text);
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
