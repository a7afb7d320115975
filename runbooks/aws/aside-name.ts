/** Names of databases that a restored one has taken the place of: RDS takes 63 characters, and no two hyphens in a row. */
const longest = 63;
const mark = '-before-';
/** Runs differ in the end of what they restore: so much of it tells two of them apart. */
const leastOfRestored = 12;

/** How they begin, for who must be let near them. */
export const asideStart = (identifier: string): string =>
  `${identifier.slice(0, longest - mark.length - leastOfRestored).replace(/-+$/, '')}${mark}`;

/** @param restored name that the database in its place was restored under */
export function asideName(identifier: string, restored: string): string {
  const start = asideStart(identifier);
  return `${start}${restored.slice(-(longest - start.length)).replace(/^-+/, '')}`;
}
