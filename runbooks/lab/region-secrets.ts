import type { RegionName } from './region-name.ts';

/** Which credentials the region's processes are given. */
export interface LabSecrets {
  /** For the gateways. */
  database(region: RegionName): { readonly user: string; readonly password: string };
  cache(region: RegionName): string;
  /** Further variables of a gateway. */
  environment(region: RegionName): Readonly<Record<string, string>>;
  /** Statements that make the users of the database, for one that is new; harmless when repeated. */
  users(): readonly string[];
  /** A gateway runs with what was handed out to it just now. */
  taken(region: RegionName, index: number): void;
}
