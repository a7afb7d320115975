/** `/v1/models` and `/model/info`: the model groups that the caller's key may use, in the words of whoever asks. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { messagesDialect } from '../dialects/messages/messages.ts';
import { Refusal } from '../domain/errors.ts';
import type { Caller } from '../domain/request.ts';
import { mayUseModel } from '../pipeline/authenticate.ts';
import { mayUseGroup } from '../pipeline/may-use-group.ts';
import type { ModelDirectory } from '../routing/directory.ts';
import type { Router } from '../routing/router.ts';
import { toErrorAnswer } from './error-envelope.ts';
import { deploymentInfo, groupInfo } from './model-info.ts';
import { readPage, toPage } from './model-page.ts';

type Query = Readonly<Record<string, unknown>>;

export function registerModelListRoutes(app: FastifyInstance, router: Router): void {
  const { directory } = router;
  const created = Math.floor(Date.now() / 1000);
  const entry = (id: string) => ({ id, object: 'model', created, owned_by: 'openai' });
  const config = { routeGroups: ['llm_api_routes', 'info_routes'] as const };
  const createdAt = new Date(created * 1000).toISOString();
  const anthropicEntry = (id: string) => {
    const windows = deploymentsBehind(directory, id).map(({ maxInputTokens }) => maxInputTokens ?? 0);
    const maxInputTokens = Math.max(0, ...windows);
    return {
      type: 'model',
      id,
      display_name: id,
      created_at: createdAt,
      max_input_tokens: maxInputTokens === 0 ? null : maxInputTokens,
      max_tokens: null,
      capabilities: null,
    };
  };
  for (const path of ['/v1/models', '/models']) {
    app.get<{ Querystring: Query }>(path, { config }, (request, reply) => {
      const names = namesFor(request.caller, directory);
      if (!isAnthropics(request)) return reply.send({ object: 'list', data: names.map(entry) });
      try {
        const page = toPage(names, readPage(request.query));
        return reply.send({ ...page, data: page.data.map(anthropicEntry) });
      } catch (error) {
        if (error instanceof Refusal) return sendInAnthropics(error, reply);
        throw error;
      }
    });
    // A model's name may hold slashes, hence the wildcard.
    app.get<{ Params: { '*': string } }>(`${path}/*`, { config }, (request, reply) => {
      const name = request.params['*'];
      if (directory.resolve(name) !== undefined && mayUseModel(request.caller, name)) {
        return reply.send(isAnthropics(request) ? anthropicEntry(name) : entry(name));
      }
      const refusal = new Refusal({
        status: 404,
        type: 'invalid_request_error',
        message: `The model "${name.slice(0, 100)}" does not exist`,
        param: 'model',
      });
      if (isAnthropics(request)) return sendInAnthropics(refusal, reply);
      throw refusal;
    });
  }

  for (const path of ['/model/info', '/v1/model/info']) {
    app.get<{ Querystring: Query }>(path, { config }, (request, reply) => {
      const usable = [...directory.all()].filter(({ modelGroup }) =>
        mayUseGroup(request.caller, modelGroup, directory),
      );
      const id = request.query['litellm_model_id'];
      const asked = typeof id === 'string' ? usable.filter((deployment) => deployment.id === id) : usable;
      if (typeof id === 'string' && asked.length === 0) {
        throw new Refusal({
          status: 404,
          type: 'invalid_request_error',
          message: `No deployment with the id "${id.slice(0, 100)}" is known to this key`,
          param: 'litellm_model_id',
        });
      }
      return reply.send({ data: asked.map(deploymentInfo) });
    });
  }
  app.get<{ Querystring: Query }>('/model_group/info', (request, reply) => {
    const asked = request.query['model_group'];
    const names = namesFor(request.caller, directory).filter((name) => typeof asked !== 'string' || name === asked);
    return reply.send({ data: names.map((name) => groupInfo(name, deploymentsBehind(directory, name))) });
  });
}

/** Its SDKs send this with every request. */
const isAnthropics = ({ headers }: FastifyRequest): boolean => headers['anthropic-version'] !== undefined;

function sendInAnthropics(error: Refusal, reply: FastifyReply): FastifyReply {
  const { status, headers, body } = toErrorAnswer(error, messagesDialect);
  return reply.code(status).headers(headers).send(body);
}

/** Visible names that the key may use, and those that it names itself where a pattern stands for them. */
function namesFor(caller: Caller, directory: ModelDirectory): string[] {
  const visible = directory.names().filter((name) => mayUseModel(caller, name));
  const own = caller.models.filter(
    (name) => !name.includes('*') && directory.resolve(name)?.includes('*') === true && mayUseModel(caller, name),
  );
  return [...new Set([...visible, ...own])];
}

const deploymentsBehind = (directory: ModelDirectory, name: string) =>
  directory.deployments(directory.resolve(name) ?? name);
