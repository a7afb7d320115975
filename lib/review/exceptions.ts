import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { z } from 'zod';

/** A rule that is not followed somewhere, and why. */
export interface Exception {
  readonly rule: string;
  readonly reason: string;
  /** Construct paths below which the rule may be broken. */
  readonly where: readonly string[];
}

/** How CDK keeps them on a construct: reasons by rule. */
const acknowledgements = z.record(z.string(), z.string());

/** Every acknowledgement in a construct tree, one entry for each rule and reason. */
export function collectExceptions(root: IConstruct): Exception[] {
  const found = new Map<string, { rule: string; reason: string; where: string[] }>();
  for (const construct of root.node.findAll()) {
    for (const entry of construct.node.metadata) {
      if (entry.type !== Validations.ACKNOWLEDGED_RULES_METADATA_KEY) continue;
      for (const [id, reason] of Object.entries(acknowledgements.parse(entry.data))) {
        // CDK files a rule without a checker's name under annotations; the finding's details are in the last brackets.
        const rule = id.replace(/^[\w-]+::/, '').replace(/\[.*\/(\w+)\]$/, ' ($1)');
        const key = `${rule}\n${reason}`;
        const known = found.get(key) ?? { rule, reason, where: [] };
        known.where.push(construct.node.path);
        found.set(key, known);
      }
    }
  }
  return [...found.values()].sort((left, right) => left.rule.localeCompare(right.rule));
}
