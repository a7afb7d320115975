/** `/model/new|update|delete|definitions`: deployments that are made over the API. Every process calls them within seconds. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Rows } from '../../domain/management.ts';
import { forbidden, invalid, notFound, seesAll } from './actor.ts';
import { id, metadata, pageOf, paging } from './fields.ts';
import { isoOf } from './objects.ts';
import { defineRoute, type ManagementOptions, type ModelDefinition } from './route.ts';

/** What must not be stored as it is. A reference to a variable is no secret, a number of tokens neither. */
const secretName = /key|secret|password|credential|authorization|cookie|(^|_)token$/i;
const harmlessName = /_per_token$/;
const secretPrefix = 'sealed:';

const params = z.looseObject({ model: z.string().min(1).max(256) });

type Seal = ((secret: string) => string) | undefined;

/** Also within blocks, such as headers. @throws Refusal 400 for a secret that cannot be sealed. */
function sealed(
  stated: Readonly<Record<string, unknown>>,
  seal: Seal,
  path = 'litellm_params',
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(stated).map(([name, value]) => [name, sealedValue(name, value, seal, `${path}.${name}`)]),
  );
}

function sealedValue(name: string, value: unknown, seal: Seal, path: string): unknown {
  if (isBlock(value)) return sealed(value, seal, path);
  const isSecret = secretName.test(name) && !harmlessName.test(name);
  if (!isSecret || typeof value !== 'string' || value.startsWith('os.environ/')) return value;
  // Nobody can seal by hand; as it stands it would be taken for the secret itself.
  if (value.startsWith(secretPrefix)) throw invalid(path, `${path}: must not start with ${secretPrefix}`);
  if (seal === undefined) {
    throw invalid(path, `${path}: set LITELLM_SALT_KEY to store secrets sealed, or write os.environ/NAME`);
  }
  return `${secretPrefix}${seal(value)}`;
}

const isBlock = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const shown = (stated: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(stated).map(([name, value]) => [
      name,
      isBlock(value) ? shown(value) : typeof value === 'string' && value.startsWith(secretPrefix) ? '(sealed)' : value,
    ]),
  );

const toAnswer = (row: Rows['model']) => ({
  model_id: row.modelId,
  model_name: row.modelName,
  litellm_params: shown(row.params),
  model_info: { id: row.modelId, db_model: true, ...row.info },
  created_by: row.createdBy ?? null,
  created_at: isoOf(row.createdAtMs),
  updated_at: isoOf(row.updatedAtMs),
});

/** @throws Refusal 400 for one that no gateway could call. */
function refuseFaulty(model: ModelDefinition, { modelFaults }: ManagementOptions): void {
  const faults = modelFaults(model);
  if (faults.length > 0) throw invalid('litellm_params', faults.join('; '));
}

const modelInfo = z.looseObject({ id: id.optional() });

const create = defineRoute({
  method: 'POST',
  paths: ['/model/new'],
  tag: 'models',
  summary: 'Add a deployment. Every process calls it within seconds',
  needs: 'admin',
  body: z.strictObject({
    model_name: z.string().min(1).max(256),
    litellm_params: params,
    model_info: modelInfo.optional(),
  }),
  example: { model_name: 'gpt-4o', litellm_params: { model: 'openai/gpt-4o', api_key: 'os.environ/OPENAI_API_KEY' } },
  write: async (writer, { body, principal, options }) => {
    const modelId = body.model_info?.id ?? randomUUID();
    const model = {
      modelId,
      modelName: body.model_name,
      params: sealed(body.litellm_params, options.sealSecret),
      info: body.model_info ?? {},
    };
    refuseFaulty(model, options);
    const row = await writer.insert('model', {
      ...model,
      createdBy: principal.actor.userId ?? principal.actor.name,
    });
    if (row === undefined) throw invalid('model_info.id', `model_info.id: ${modelId} exists already; choose another`);
    return { ...toAnswer(row) };
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
    const changed = {
      modelName: body.model_name ?? before.modelName,
      params: { ...before.params, ...sealed(body.litellm_params ?? {}, options.sealSecret) },
      info: { ...before.info, ...body.model_info },
    };
    refuseFaulty({ modelId, ...changed }, options);
    const [row] = await writer.update('model', { modelId }, changed);
    return { ...toAnswer(row ?? before) };
  },
});

const remove = defineRoute({
  method: 'POST',
  paths: ['/model/delete'],
  tag: 'models',
  summary: 'Remove a deployment that was made over the API',
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
    return { data: (await reader.list('model', {}, pageOf(query))).map(toAnswer) };
  },
});

export const modelDefinitionRoutes = [create, update, remove, list] as const;
