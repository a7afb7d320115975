import { z } from 'zod';

/** The parts of a CloudFormation template that the review reads. */
export const templateSchema = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).optional() }),
  ),
  Parameters: z
    .record(
      z.string(),
      z.object({ Type: z.string(), Default: z.string().optional(), AllowedValues: z.array(z.string()).optional() }),
    )
    .optional(),
});

export type Template = z.infer<typeof templateSchema>;

/** One synthesized stack. */
export interface SynthesizedStack {
  readonly name: string;
  readonly region: string;
  readonly template: Template;
}

/** Properties of every resource of a type in some stacks. */
export const propertiesOf = (
  stacks: readonly SynthesizedStack[],
  type: string,
): readonly Readonly<Record<string, unknown>>[] =>
  stacks.flatMap(({ template }) =>
    Object.values(template.Resources)
      .filter((resource) => resource.Type === type)
      .map((resource) => resource.Properties ?? {}),
  );
