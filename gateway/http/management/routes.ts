/** The management API, all of it. */
import { auditRoutes } from './audit-routes.ts';
import { budgetRoutes } from './budget-routes.ts';
import { customerRoutes } from './customer-routes.ts';
import { keyRoutes } from './key-routes.ts';
import { modelDefinitionRoutes } from './model-definition-routes.ts';
import { organizationRoutes } from './organization-routes.ts';
import type { ManagementRoute } from './route.ts';
import { spendRoutes } from './spend-routes.ts';
import { teamRoutes } from './team-routes.ts';
import { userRoutes } from './user-routes.ts';

export const managementRoutes: readonly ManagementRoute[] = [
  ...keyRoutes,
  ...teamRoutes,
  ...userRoutes,
  ...organizationRoutes,
  ...customerRoutes,
  ...budgetRoutes,
  ...modelDefinitionRoutes,
  ...spendRoutes,
  ...auditRoutes,
];
