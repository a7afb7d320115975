/** Which routes a key may call: `allowed_routes`, in LiteLLM's words. */

/** LiteLLM's names for groups of routes, and what `key_type` stands for. */
export const routeGroups = ['llm_api_routes', 'management_routes', 'info_routes'] as const;
export type RouteGroup = (typeof routeGroups)[number];

export const keyTypes = ['default', 'llm_api', 'management', 'read_only'] as const;
export const routesOfKeyType: Readonly<Record<(typeof keyTypes)[number], readonly RouteGroup[] | undefined>> = {
  default: undefined,
  llm_api: ['llm_api_routes'],
  management: ['management_routes'],
  read_only: ['info_routes'],
};

/**
 * @param path of the route as it was registered, such as `/key/info` or `/v1/models/*`.
 * @param groups that the route belongs to.
 */
export function mayCall(allowed: readonly string[], path: string, groups: readonly RouteGroup[]): boolean {
  return allowed.some((entry) => {
    if (groups.some((group) => group === entry)) return true;
    if (entry.endsWith('*')) return path.startsWith(entry.slice(0, -1));
    // LiteLLM lists routes without the version; both spellings reach the same.
    return entry === path || `/v1${entry}` === path || entry === `/v1${path}`;
  });
}
