/** A headed part of the review. */
export interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}
