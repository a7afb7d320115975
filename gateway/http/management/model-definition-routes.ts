/** `/model/new|update|delete|definitions`: deployments that are made over the API. They are stored; a gateway that reads them acts on them. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Rows } from '../../domain/management.ts';
import { forbidden, invalid, notFound, seesAll } from './actor.ts';
import { id, metadata, pageOf, paging } from './fields.ts';
import { isoOf } from './objects.ts';
import { defineRoute } from './route.ts';

/** What must not be stored as it is. A reference to a variable is no secret. */
const secretName = /key|secret|token|password|credential/i;
const secretPrefix = 'sealed:';
const isReference = (value: string): boolean => value.startsWith('os.environ/');

const params = z.looseObject({ model: z.string().min(1).max(256) });

/** @throws Refusal 400 for a secret that cannot be sealed. */
function sealed(stated: Readonly<Record<string, unknown>>, seal: ((secret: string) => string) | undefined) {
  return Object.fromEntries(
    Object.entries(stated).map(([name, value]) => {
      const isSecret = secretName.test(name) && !/tokens?$|per_token|_cost/.test(name.replace('session_token', ''));
      if (typeof value !== 'string' || !isSecret || isReference(value) || value.startsWith(secretPrefix)) {
        return [name, value];
      }
      if (seal === undefined) {
        throw invalid(
          `litellm_params.${name}`,
          `litellm_params.${name}: set LITELLM_SALT_KEY to store secrets sealed, or write os.environ/NAME`,
        );
      }
      return [name, `${secretPrefix}${seal(value)}`];
    }),
  );
}

const toAnswer = (row: Rows['model']) => ({
  model_id: row.modelId,
  model_name: row.modelName,
  litellm_params: Object.fromEntries(
    Object.entries(row.params).map(([name, value]) => [
      name,
      typeof value === 'string' && value.startsWith(secretPrefix) ? '(sealed)' : value,
    ]),
  ),
  model_info: { id: row.modelId, db_model: true, ...row.info },
  created_by: row.createdBy ?? null,
  created_at: isoOf(row.createdAtMs),
  updated_at: isoOf(row.updatedAtMs),
});

const notYet = { note: 'stored; this version reads its deployments from config.yaml and does not act on it yet' };
const modelInfo = z.looseObject({ id: id.optional() });

const create = defineRoute({
  method: 'POST',
  paths: ['/model/new'],
  tag: 'models',
  summary: 'Store a deployment. It acts once gateways read deployments from the database',
  needs: 'admin',
  body: z.strictObject({
    model_name: z.string().min(1).max(256),
    litellm_params: params,
    model_info: modelInfo.optional(),
  }),
  example: { model_name: 'gpt-4o', litellm_params: { model: 'openai/gpt-4o', api_key: 'os.environ/OPENAI_API_KEY' } },
  write: async (writer, { body, principal, options }) => {
    const modelId = body.model_info?.id ?? randomUUID();
    const row = await writer.insert('model', {
      modelId,
      modelName: body.model_name,
      params: sealed(body.litellm_params, options.sealSecret),
      info: body.model_info ?? {},
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined) throw invalid('model_info.id', `model_info.id: ${modelId} exists already; choose another`);
    return { ...toAnswer(row), ...notYet };
  },
});

const update = defineRoute({
  method: 'POST',
  paths: ['/model/update'],
  tag: 'models',
  summary: 'Change a stored deployment; parameters that are not stated stay',
  needs: 'admin',
  body: z.strictObject({
    model_id: id.optional(),
    model_name: z.string().min(1).max(256).optional(),
    litellm_params: metadata.optional(),
    model_info: modelInfo.optional(),
  }),
  example: { model_info: { id: 'deployment-1' }, litellm_params: { rpm: 100 } },
  write: async (writer, { body, options }) => {
    const modelId = body.model_id ?? body.model_info?.id;
    if (modelId === undefined) throw invalid('model_info.id', 'model_info.id: name the deployment');
    const before = await writer.lock('model', { modelId });
    if (before === undefined) throw notFound('Model', modelId);
    const [row] = await writer.update(
      'model',
      { modelId },
      {
        modelName: body.model_name ?? before.modelName,
        params: { ...before.params, ...sealed(body.litellm_params ?? {}, options.sealSecret) },
        info: { ...before.info, ...body.model_info },
      },
    );
    return { ...toAnswer(row ?? before), ...notYet };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/model/delete'],
  tag: 'models',
  summary: 'Remove a stored deployment',
  needs: 'admin',
  body: z.strictObject({ id }),
  example: { id: 'deployment-1' },
  write: async (writer, { body }) => {
    const rows = await writer.remove('model', { modelId: body.id });
    if (rows.length === 0) throw notFound('Model', body.id);
    return { message: `Model: ${body.id} deleted`, model_id: body.id };
  },
});

const list = defineRoute({
  method: 'GET',
  paths: ['/model/definitions'],
  tag: 'models',
  summary: 'Stored deployments; their secrets are not shown',
  needs: 'viewer',
  query: z.strictObject(paging),
  read: async (reader, { query, principal }) => {
    if (!seesAll(principal)) throw forbidden('Listing stored deployments');
    return { data: (await reader.list('model', {}, pageOf(query))).map(toAnswer), ...notYet };
  },
});

export const modelDefinitionRoutes = [create, update, remove, list] as const;
