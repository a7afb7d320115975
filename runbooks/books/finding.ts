/** What is looked at to say that a gateway serves. The one list that `holdfast verify`, every book and the report use. */

export const checkNames = ['health', 'completion', 'stream', 'embeddings', 'spend', 'write'] as const;

export type CheckName = (typeof checkNames)[number];

export interface Finding {
  readonly check: CheckName;
  /** `skipped` = there was nothing to ask; the note says why. */
  readonly is: 'ok' | 'failed' | 'skipped';
  readonly note: string;
  readonly seconds: number;
}

/** What did not hold, as one line; undefined when all is well. */
export function faultsOf(findings: readonly Finding[]): string | undefined {
  const failed = findings.filter(({ is }) => is === 'failed');
  return failed.length === 0 ? undefined : failed.map(({ check, note }) => `${check}: ${note}`).join('; ');
}
