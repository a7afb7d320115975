/** Whether a caller may see what belongs to a model group, under the group's own name or another that stands for it. */
import { listAllows } from '../domain/model-access.ts';
import type { Caller } from '../domain/request.ts';
import type { ModelDirectory } from '../routing/directory.ts';

/** Every list that binds the caller must have a name for the group. */
export function mayUseGroup(caller: Caller, group: string, directory: ModelDirectory): boolean {
  const allows = (models: readonly string[]): boolean =>
    listAllows(models, group) || models.some((name) => directory.resolve(name) === group);
  return allows(caller.models) && (caller.modelScopes ?? []).every(({ models }) => allows(models));
}
