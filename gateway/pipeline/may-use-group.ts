/** Whether a caller may see what belongs to a model group, under the group's own name or another that stands for it. */
import type { Caller } from '../domain/request.ts';
import type { ModelDirectory } from '../routing/directory.ts';
import { mayUseModel } from './authenticate.ts';

export const mayUseGroup = (caller: Caller, group: string, directory: ModelDirectory): boolean =>
  mayUseModel(caller, group) || caller.models.some((name) => directory.resolve(name) === group);
