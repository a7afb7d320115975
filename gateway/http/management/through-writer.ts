/**
 * The management API where another region may be the writer: changes go there and nowhere else, questions go there first.
 * A request makes one hop. What may have been done is never sent a second time on the gateway's own account.
 */
import { randomUUIDv7 } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Refusal } from '../../domain/errors.ts';
import { hashKey } from '../../domain/keys.ts';
import {
  type PassedOn,
  type RegionAnswer,
  type RegionDesk,
  type WriteRoute,
  WriterUnreachable,
} from '../../domain/region.ts';
import { isAdmin, principalOf } from './actor.ts';

const changeTimeoutMs = 5_000;
/** A question that the replica can answer, too. */
const questionTimeoutMs = 2_000;
const retryAfterSeconds = 5;
const blocking = '/key/block';
const answerHeaders = ['content-type', 'retry-after', 'idempotent-replayed', 'x-holdfast-warnings'] as const;

export interface WriterTask {
  readonly changes: boolean;
  /** The documented path of the route. */
  readonly path: string;
  /** Does it in this region. */
  readonly here: () => Promise<FastifyReply>;
}

export async function throughWriter(
  desk: RegionDesk,
  task: WriterTask,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const forwarded = request.headers['x-holdfast-forwarded-by'] !== undefined;
  const route = desk.writeRoute(forwarded);
  if (!task.changes) return ask(desk, route, task, request, reply);
  try {
    if (route.is === 'here') return await task.here();
    return await change(desk, route, request, reply);
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 503) throw error;
    if (task.path === blocking && !forwarded && (await blockHere(desk, request))) {
      void reply.header(
        'x-holdfast-warnings',
        'blocked in this region; the others follow when the writer can be reached',
      );
      return reply.type('application/json').send(JSON.stringify({ blocked: true, pending: true }));
    }
    throw withWriter(desk, error);
  }
}

async function change(
  desk: RegionDesk,
  route: Exclude<WriteRoute, { is: 'here' }>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  // Without one, nobody could find out what became of a change whose answer is lost.
  const idempotencyKey = textOf(request.headers['idempotency-key']) ?? randomUUIDv7();
  const passed = passedOn(request, { 'idempotency-key': idempotencyKey });
  let to = route;
  for (let attempt = 1; ; attempt++) {
    if (to.is === 'nowhere') throw refuse(to.type, `${to.because}. Nothing was changed`);
    const answer = await send(desk, to.region, passed, idempotencyKey);
    if (attempt > 1 || !saysNotWriter(answer)) return relay(answer, reply.header('idempotency-key', idempotencyKey));
    // It has changed nothing, and knows something newer.
    await desk.look();
    const next = desk.writeRoute(false);
    if (next.is === 'here') throw refuse('not_writer', 'The writer is changing. Nothing was changed');
    to = next;
  }
}

async function send(desk: RegionDesk, region: string, passed: PassedOn, idempotencyKey: string): Promise<RegionAnswer> {
  try {
    return await desk.passOn(region, passed, changeTimeoutMs);
  } catch (error) {
    if (!(error instanceof WriterUnreachable)) throw error;
    if (!error.mayHaveArrived) throw refuse('writer_unreachable', `${error.message}. Nothing was changed`);
    throw refuse(
      'write_outcome_unknown',
      `${error.message}. The change may stand or not; repeat it with Idempotency-Key ${idempotencyKey}`,
      { 'idempotency-key': idempotencyKey },
    );
  }
}

async function ask(
  desk: RegionDesk,
  route: WriteRoute,
  task: WriterTask,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (route.is === 'there') {
    try {
      const answer = await desk.passOn(route.region, passedOn(request, {}), questionTimeoutMs);
      if (answer.status < 500) return relay(answer, reply);
    } catch (error) {
      if (!(error instanceof WriterUnreachable)) throw error;
    }
  }
  if (route.is !== 'here') void reply.header('x-holdfast-replica-lag-ms', String(desk.state.replayLagMs));
  return task.here();
}

/** It only restricts, so it needs no right to write; but only an administrator is known well enough without the writer. */
async function blockHere(desk: RegionDesk, request: FastifyRequest): Promise<boolean> {
  const principal = principalOf(request.caller);
  const key = keyIn(request.body);
  if (!isAdmin(principal) || key === undefined) return false;
  await desk.deny(key.startsWith('sk-') ? hashKey(key) : key, principal.actor.name);
  return true;
}

function keyIn(body: unknown): string | undefined {
  if (!(body instanceof Buffer)) return undefined;
  try {
    const content: unknown = JSON.parse(body.toString());
    const key: unknown = typeof content === 'object' && content !== null ? Reflect.get(content, 'key') : undefined;
    return typeof key === 'string' && /^(sk-.+|[0-9a-f]{64})$/.test(key) ? key : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function passedOn(request: FastifyRequest, more: Readonly<Record<string, string>>): PassedOn {
  const headers = Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) => {
      const text = textOf(value);
      return text === undefined ? [] : [[name, text]];
    }),
  );
  const body = request.body instanceof Buffer ? request.body : undefined;
  return { method: request.method, path: request.url, headers: { ...headers, ...more }, body };
}

function relay(answer: RegionAnswer, reply: FastifyReply): FastifyReply {
  for (const name of answerHeaders) {
    const value = answer.headers[name];
    if (value !== undefined) void reply.header(name, value);
  }
  return reply.code(answer.status).send(answer.body);
}

const saysNotWriter = ({ status, body }: RegionAnswer): boolean =>
  status === 503 && /"type":"not_writer"/.test(body.toString('utf8', 0, 2_000));

const withWriter = (
  desk: RegionDesk,
  { status, type, message, retryAfterSeconds: after, headers }: Refusal,
): Refusal => {
  const { writer, epoch } = desk.state;
  return new Refusal({
    status,
    type,
    message: `${message} (writer: ${writer ?? 'unknown'}, epoch ${epoch})`,
    ...(after === undefined ? {} : { retryAfterSeconds: after }),
    headers: { ...headers, 'x-holdfast-writer': writer ?? 'unknown', 'x-holdfast-epoch': String(epoch) },
  });
};

const refuse = (type: string, message: string, headers: Readonly<Record<string, string>> = {}): Refusal =>
  new Refusal({ status: 503, type, message, retryAfterSeconds, headers });

const textOf = (value: string | readonly string[] | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;
