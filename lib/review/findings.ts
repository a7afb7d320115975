import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Something that a rule does not like. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  /** Who says so, for example `CloudFormation Validate`. */
  readonly checker: string;
  readonly rule: string;
  readonly description: string;
  /** Construct paths. */
  readonly where: readonly string[];
}

/** The parts of CDK's report that are read here. */
const validationReport = z.object({
  pluginReports: z.array(
    z.object({
      pluginName: z.string(),
      violations: z.array(
        z.object({
          ruleName: z.string(),
          description: z.string(),
          severity: z.string().optional(),
          violatingConstructs: z.array(z.object({ constructPath: z.string().optional() })),
        }),
      ),
    }),
  ),
});

/** What CDK wrote into the assembly about rules that were broken and not acknowledged; errors first. */
export function readFindings(assemblyDirectory: string): Finding[] {
  const file = join(assemblyDirectory, 'validation-report.json');
  const report = validationReport.parse(JSON.parse(readFileSync(file, 'utf8')));
  const findings = report.pluginReports.flatMap(({ pluginName, violations }) =>
    violations.map(
      (violation): Finding => ({
        severity: violation.severity === 'error' || violation.severity === 'fatal' ? 'error' : 'warning',
        checker: pluginName,
        rule: violation.ruleName,
        description: violation.description,
        where: violation.violatingConstructs.map(({ constructPath }) => constructPath ?? '(stack)'),
      }),
    ),
  );
  return findings.sort((left, right) => left.severity.localeCompare(right.severity));
}
