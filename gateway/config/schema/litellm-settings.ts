/** `litellm_settings`. */
import { z } from 'zod';
import { durationForm, windowOf } from '../../domain/budget-window.ts';
import { userRoles } from '../../domain/identity.ts';
import { duration, limitFields } from '../../domain/limit-fields.ts';
import { cacheParams } from './cache-params.ts';
import { boolean, name, number, positiveSeconds, price } from './fields.ts';
import { shared } from './recovery-keys.ts';

const generation = { required_params: z.array(name).optional() };

export const litellmSettings = z.looseObject({
  ...shared,
  /** What a new key gets when its maker states nothing. */
  default_key_generate_params: z
    .strictObject({
      ...limitFields,
      duration: duration.optional(),
      models: z.array(name).optional(),
      team_id: name.optional(),
      metadata: z.record(z.string(), z.unknown()).optional(),
    })
    .optional(),
  /** The most that a key may have. */
  upperbound_key_generate_params: z
    .strictObject({
      max_budget: limitFields.max_budget,
      budget_duration: limitFields.budget_duration,
      max_parallel_requests: limitFields.max_parallel_requests,
      tpm_limit: limitFields.tpm_limit,
      rpm_limit: limitFields.rpm_limit,
      duration: duration.optional(),
    })
    .optional(),
  /** Who may make keys, and what they must state. */
  key_generation_settings: z
    .strictObject({
      team_key_generation: z
        .strictObject({ ...generation, allowed_team_member_roles: z.array(z.enum(['admin', 'user'])).optional() })
        .optional(),
      personal_key_generation: z
        .strictObject({ ...generation, allowed_user_roles: z.array(z.enum(userRoles)).optional() })
        .optional(),
    })
    .optional(),
  /** US dollars of users that are made without a budget. */
  max_internal_user_budget: price.optional(),
  internal_user_budget_duration: duration.optional(),
  /** Seconds for a whole answer when nothing nearer says otherwise. */
  request_timeout: positiveSeconds.optional(),
  /** Leave out what a provider cannot express, instead of refusing the request. */
  drop_params: boolean.optional(),
  /** File with prices and limits of models in the form of LiteLLM's `model_prices_and_context_window.json`. */
  model_cost_map: name.optional(),
  /** Requests go only to deployments of this region, for example `eu`. */
  allowed_model_region: name.optional(),
  /** US dollars for everything that this gateway spends, in each `budget_duration`. */
  max_budget: number(z.number().positive()).optional(),
  /** For example `30d`; without it the budget is for ever. */
  budget_duration: z
    .string()
    .refine((text) => windowOf(text, 0) !== undefined, `write ${durationForm}`)
    .optional(),
  /** Whether answers are cached. */
  cache: boolean.optional(),
  cache_params: cacheParams.optional(),
});
