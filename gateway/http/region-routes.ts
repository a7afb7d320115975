/** What regions ask each other, and the page that shows where this one stands. */
import type { FastifyInstance } from 'fastify';
import { healthPaths } from '../contract.ts';
import { Refusal } from '../domain/errors.ts';
import type { RegionDesk } from '../domain/region.ts';

/** A batch of spend is at most 8 MiB of text. */
const largestBodyBytes = 16 * 1024 * 1024;

/** @param desk undefined where nothing is known of regions: there is one, and no database to ask. */
export function registerRegionRoutes(app: FastifyInstance, desk: RegionDesk | undefined): void {
  // Never part of readiness: a fenced region serves.
  app.get(healthPaths.region, (_request, reply) => {
    if (desk === undefined) return reply.send({ region: null, standing: null });
    const { standing, epoch, writer, phase, leaseRemainingMs, replayLagMs, candidates, faults } = desk.state;
    return reply.send({
      region: desk.region,
      standing,
      writer: writer ?? null,
      epoch,
      phase: phase ?? null,
      lease_remaining_ms: leaseRemainingMs,
      replay_lag_ms: replayLagMs,
      candidates: candidates ?? null,
      candidate_lag_ms: Object.fromEntries([...desk.candidateLagsMs].map(([name, ms]) => [name, Math.round(ms)])),
      faults,
    });
  });
  if (desk === undefined) return;
  app.post<{ Params: { call: string } }>(
    '/internal/region/:call',
    { bodyLimit: largestBodyBytes },
    async (request, reply) => {
      const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
      const answer = await desk.answer(request.params.call, request.url, request.headers, body);
      if (answer === undefined) {
        throw new Refusal({ status: 401, type: 'auth_error', message: 'This is signed by none of our regions' });
      }
      return reply.code(answer.status).headers(answer.headers).send(answer.body);
    },
  );
}
