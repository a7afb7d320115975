/** Updates of CloudFormation stacks: by parameters, or by another template. They are read back until the stack is at rest. */
import {
  type CloudFormationClient,
  DescribeStacksCommand,
  type Parameter,
  type Stack,
  UpdateStackCommand,
} from '@aws-sdk/client-cloudformation';
import { type AwsClients, clientToken, isNamed } from './clients.ts';
import type { TemplateInput } from './template-input.ts';

export interface StackUpdate {
  readonly region: string;
  readonly stack: string;
  /** Only these parameters; all others stay. */
  readonly changes: Readonly<Record<string, string>>;
  /** Undefined = the one that stands. */
  readonly template?: StackTemplate;
  /** Undefined = every call is one of its own. */
  readonly token?: string;
  /** Whether a failure takes back what was done; a promotion cannot be, and asking for that breaks the stack. */
  readonly rollsBack: boolean;
}

export interface StackTemplate {
  readonly input: TemplateInput;
  /** Parameters that it has. */
  readonly parameters: readonly string[];
}

/** Asks for the update and returns. The same update again, and one that changes nothing, are no faults. */
export async function updateStack(clients: AwsClients, update: StackUpdate, abortSignal: AbortSignal): Promise<void> {
  const { region, stack, changes, template, token, rollsBack } = update;
  const client = clients.cloudFormation(region);
  const before = await describe(client, stack, abortSignal);
  const known = before.Parameters ?? [];
  try {
    await client.send(
      new UpdateStackCommand({
        StackName: stack,
        ...(template === undefined
          ? { UsePreviousTemplate: true }
          : { ...template.input, Capabilities: [...capabilities] }),
        Parameters: parametersOf(known, changes, template),
        DisableRollback: !rollsBack,
        ...(token === undefined ? {} : { ClientRequestToken: clientToken(`${token}/${changedAt(before)}`) }),
      }),
      { abortSignal },
    );
  } catch (error) {
    // The same update again, by a resumed run, or one that is on its way: either is read back.
    const isHarmless =
      isNamed(error, 'TokenAlreadyExistsException') ||
      (error instanceof Error && /No updates are to be performed|_IN_PROGRESS state/.test(error.message));
    if (!isHarmless) throw error;
  }
}

/** AWS does nothing twice under one token, also after a failure: what is asked again of a stack that has changed since is new. */
const changedAt = ({ LastUpdatedTime: updated, CreationTime: created }: Stack): number =>
  (updated ?? created)?.getTime() ?? 0;

/** Why a stack at rest is not as its last update wanted it; undefined = it is. */
export const faultOf = ({
  StackName: name,
  StackStatus: status,
  StackStatusReason: reason,
}: Stack): string | undefined =>
  /_FAILED$|ROLLBACK_COMPLETE$/.test(status ?? '') ? `${name} is ${status}: ${reason ?? 'see its events'}` : undefined;

/** Pure. A new template may have lost parameters, and may have others that take their default. */
export function parametersOf(
  known: readonly Pick<Parameter, 'ParameterKey'>[],
  changes: Readonly<Record<string, string>>,
  template: Pick<StackTemplate, 'parameters'> | undefined,
): Parameter[] {
  const before = known.flatMap(({ ParameterKey: key }) => (key === undefined ? [] : [key]));
  const names = template === undefined ? before : template.parameters;
  return names.flatMap((key): Parameter[] => {
    const value = changes[key];
    if (value !== undefined) return [{ ParameterKey: key, ParameterValue: value }];
    return before.includes(key) ? [{ ParameterKey: key, UsePreviousValue: true }] : [];
  });
}

/** Templates of ours name roles. */
export const capabilities = ['CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM'] as const;

const betweenLooksSeconds = 2;

/** The stack once nothing is under way; the step's patience ends a wait that is too long. */
export async function stackAtRest(
  clients: AwsClients,
  { region, stack }: Pick<StackUpdate, 'region' | 'stack'>,
  wait: (seconds: number, signal: AbortSignal) => Promise<void>,
  abortSignal: AbortSignal,
): Promise<Stack> {
  const client = clients.cloudFormation(region);
  for (;;) {
    const found = await describe(client, stack, abortSignal);
    if (found.StackStatus?.endsWith('_IN_PROGRESS') !== true) return found;
    await wait(betweenLooksSeconds, abortSignal);
  }
}

export const parameterOf = ({ Parameters = [] }: Pick<Stack, 'Parameters'>, name: string): string | undefined =>
  Parameters.find(({ ParameterKey }) => ParameterKey === name)?.ParameterValue;

/** @throws when there is none of this name. */
export async function describe(client: CloudFormationClient, stack: string, abortSignal: AbortSignal): Promise<Stack> {
  const { Stacks: [found] = [] } = await client.send(new DescribeStacksCommand({ StackName: stack }), { abortSignal });
  if (found === undefined) throw new Error(`CloudFormation knows no stack ${stack}`);
  return found;
}
