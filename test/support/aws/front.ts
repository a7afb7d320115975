/**
 * AWS as this machine has it: CloudFormation here, everything else by moto behind it. moto compares raw templates, so that
 * it does nothing when only parameters change, and cannot update a database; here a stack's conditions are decided for the
 * old and the new parameters, and the difference is carried out on moto's RDS, through its API.
 *
 * RDS passes through, mended where moto departs from it: promoting what is no replica is refused, and a promoted database
 * no longer names a source. What moto itself holds can be asked past the front.
 */
import { z } from 'zod';
import { resolveTemplate } from '../../lib/resolve-template.ts';
import { templateSchema } from '../../lib/synthesize.ts';
import { type DatabaseAddress, DatabaseService, type RdsCall } from './databases.ts';
import type { Moto } from './moto.ts';
import { AwsRefusal, type Call, membersOf, scopeHeader, type Xml, xmlOf } from './query-protocol.ts';
import { afterFailure, type Change, changesBetween, type Resources } from './stack-update.ts';
import { result, startWire, type Wire, type WireService } from './wire.ts';

type Template = z.output<typeof templateSchema>;

interface StackEvent {
  readonly resource: string;
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
}

interface StackState {
  readonly name: string;
  readonly region: string;
  template: Template;
  parameters: Readonly<Record<string, string>>;
  status: string;
  reason?: string;
  readonly events: StackEvent[];
}

export interface AwsFrontOptions {
  /** How long a promotion takes; the database is `modifying` so long. */
  readonly promotionMs?: number;
  /** What RDS names as the address of every database. */
  readonly databasesAt?: DatabaseAddress;
}

export interface AwsFront extends Wire {
  /** For the clients' `endpoint`, every service and region. */
  readonly url: string;
  /** Calls that RDS got, from CloudFormation and from outside, in order. */
  readonly rdsCalls: readonly RdsCall[];
  /** The next call of this action to RDS fails; those of which `after` are to pass before it do not. */
  failNext(action: string, after?: number): void;
  /** Databases of this region answer nothing any more to others: what waits for their replication waits for ever. */
  loseRegion(region: string): void;
}

const resourcesSchema = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
  ),
});

/** @param services what moto lacks besides. */
export async function startAwsFront(
  moto: Moto,
  options: AwsFrontOptions = {},
  services: Readonly<Record<string, WireService>> = {},
): Promise<AwsFront> {
  const databases = new DatabaseService(moto, options.promotionMs ?? 0, options.databasesAt);
  const stacks = new Stacks(databases, moto);
  const wire = await startWire({
    moto,
    services: {
      cloudformation: async (call) => result(call.action, xmlOf(await stacks.answer(call))),
      rds: async (call) => {
        const { status, text } = await databases.forward(call);
        return { xml: text, status };
      },
      ...services,
    },
  });
  return {
    ...wire,
    url: wire.access.endpoint ?? '',
    rdsCalls: databases.calls,
    failNext: (action, after) => databases.failNext(action, after),
    loseRegion: (region) => databases.lose(region),
    close: async () => {
      await stacks.settled();
      await wire.close();
    },
  };
}

class Stacks {
  readonly #stacks = new Map<string, StackState>();
  readonly #databases: DatabaseService;
  readonly #moto: Moto;
  #running: Promise<void> = Promise.resolve();

  constructor(databases: DatabaseService, moto: Moto) {
    this.#databases = databases;
    this.#moto = moto;
  }

  settled(): Promise<void> {
    return this.#running;
  }

  async answer(call: Call): Promise<Xml> {
    switch (call.action) {
      case 'CreateStack':
        return this.#create(call);
      case 'UpdateStack':
        return this.#update(call);
      case 'DescribeStacks':
        return { Stacks: [this.#describe(this.#find(call))] };
      case 'DescribeStackEvents':
        return { StackEvents: this.#find(call).events.map(eventXml) };
      case 'GetTemplate':
        return { TemplateBody: JSON.stringify(this.#find(call).template) };
      default:
        throw new AwsRefusal('InvalidAction', `${call.action} is not known here`);
    }
  }

  #find({ fields, region }: Call): StackState {
    const given = fields.get('StackName') ?? '';
    const name = given.startsWith('arn:') ? (given.split('/')[1] ?? given) : given;
    const stack = this.#stacks.get(`${region} ${name}`);
    if (stack === undefined) throw new AwsRefusal('ValidationError', `Stack with id ${name} does not exist`);
    return stack;
  }

  async #create(call: Call): Promise<Xml> {
    const name = call.fields.get('StackName') ?? '';
    const key = `${call.region} ${name}`;
    if (this.#stacks.has(key)) throw new AwsRefusal('AlreadyExistsException', `Stack [${name}] already exists`);
    const template = await this.#templateOf(call.fields);
    const parameters = parametersOf(call.fields, template, {});
    const stack: StackState = {
      name,
      region: call.region,
      template,
      parameters,
      status: 'CREATE_IN_PROGRESS',
      events: [],
    };
    this.#stacks.set(key, stack);
    this.#later(async () => {
      const { failed } = await this.#carryOut(stack, changesBetween({}, resolved(template, parameters)));
      stack.status = failed === undefined ? 'CREATE_COMPLETE' : 'CREATE_FAILED';
      if (failed !== undefined) stack.reason = failed;
    });
    return { StackId: stackId(stack) };
  }

  async #update(call: Call): Promise<Xml> {
    const stack = this.#find(call);
    if (!/_COMPLETE$|^UPDATE_FAILED$/.test(stack.status)) {
      throw new AwsRefusal(
        'ValidationError',
        `Stack:${stackId(stack)} is in ${stack.status} state and can not be updated.`,
      );
    }
    const isSame = call.fields.get('UsePreviousTemplate') === 'true';
    const template = isSame ? stack.template : await this.#templateOf(call.fields);
    const parameters = parametersOf(call.fields, template, stack.parameters);
    const changes = changesBetween(resolved(stack.template, stack.parameters), resolved(template, parameters));
    if (changes.length === 0) throw new AwsRefusal('ValidationError', 'No updates are to be performed.');
    const rollback = call.fields.get('DisableRollback') !== 'true';
    const before = { template: stack.template, parameters: stack.parameters };
    Object.assign(stack, { template, parameters, status: 'UPDATE_IN_PROGRESS', reason: undefined });
    this.#later(async () => {
      const { failed, promoted } = await this.#carryOut(stack, changes);
      stack.status = failed === undefined ? 'UPDATE_COMPLETE' : afterFailure(rollback, promoted);
      if (failed === undefined) return;
      stack.reason = failed;
      if (stack.status === 'UPDATE_ROLLBACK_COMPLETE') Object.assign(stack, before);
    });
    return { StackId: stackId(stack) };
  }

  async #carryOut(
    stack: StackState,
    changes: readonly Change[],
  ): Promise<{ failed: string | undefined; promoted: boolean }> {
    let promoted = false;
    for (const change of changes) {
      try {
        if (change.is === 'refuse') throw new AwsRefusal('NotUpdatable', change.because);
        const event = { resource: change.id, type: change.resource.Type };
        if (change.resource.Type === 'AWS::RDS::DBInstance') {
          await this.#databases.apply(change, stack.region, () => {
            promoted = true;
          });
        }
        stack.events.unshift({ ...event, status: `${change.is === 'create' ? 'CREATE' : 'UPDATE'}_COMPLETE` });
      } catch (error) {
        if (!(error instanceof AwsRefusal)) throw error;
        stack.events.unshift({ resource: change.id, type: '', status: 'UPDATE_FAILED', reason: error.message });
        return { failed: `${change.id}: ${error.message}`, promoted };
      }
    }
    return { failed: undefined, promoted };
  }

  /** In the call, where AWS takes 51,200 bytes, or in a bucket. */
  async #templateOf(fields: URLSearchParams): Promise<Template> {
    const body = fields.get('TemplateBody');
    if (body !== null && Buffer.byteLength(body) > 51_200) {
      throw new AwsRefusal('ValidationError', 'Member must have length less than or equal to 51200');
    }
    const url = fields.get('TemplateURL');
    if (url === null) return templateOf(body);
    const { hostname, pathname } = new URL(url);
    const object = await fetch(`${this.#moto.url}/${hostname.split('.s3.')[0]}${pathname}`, {
      headers: { authorization: scopeHeader('us-east-1', 's3'), 'x-moto-account-id': this.#moto.account },
    });
    if (!object.ok) throw new AwsRefusal('ValidationError', `S3 error: ${object.status}`);
    return templateOf(await object.text());
  }

  #later(work: () => Promise<void>): void {
    this.#running = this.#running.then(work);
  }

  #describe(stack: StackState): Xml {
    return {
      StackName: stack.name,
      StackId: stackId(stack),
      StackStatus: stack.status,
      StackStatusReason: stack.reason,
      CreationTime: '2026-01-01T00:00:00Z',
      Parameters: Object.entries(stack.parameters).map(([ParameterKey, ParameterValue]) => ({
        ParameterKey,
        ParameterValue,
      })),
    };
  }
}

const eventXml = ({ resource, type, status, reason }: StackEvent, index: number): Xml => ({
  EventId: String(index),
  StackId: 'test',
  StackName: 'test',
  Timestamp: '2026-01-01T00:00:00Z',
  LogicalResourceId: resource,
  ResourceType: type,
  ResourceStatus: status,
  ResourceStatusReason: reason,
});

const stackId = ({ name, region }: StackState): string =>
  `arn:aws:cloudformation:${region}:123456789012:stack/${name}/00000000-0000-0000-0000-000000000000`;

function templateOf(text: string | null): Template {
  if (text === null) throw new AwsRefusal('ValidationError', 'Either Template URL or Template Body must be specified.');
  return templateSchema.parse(JSON.parse(text));
}

/** Every parameter's value: given, kept or the default; one that is none of these or not allowed is refused. */
function parametersOf(
  fields: URLSearchParams,
  template: Template,
  previous: Readonly<Record<string, string>>,
): Record<string, string> {
  const given = new Map(membersOf(fields, 'Parameters').map((member) => [member['ParameterKey'] ?? '', member]));
  for (const name of given.keys()) {
    if (!(name in template.Parameters)) {
      throw new AwsRefusal('ValidationError', `Parameters: [${name}] do not exist in the template`);
    }
  }
  return Object.fromEntries(
    Object.entries(template.Parameters).map(([name, { Default, AllowedValues }]) => {
      const member = given.get(name);
      const value = member?.['UsePreviousValue'] === 'true' ? previous[name] : (member?.['ParameterValue'] ?? Default);
      if (value === undefined) throw new AwsRefusal('ValidationError', `Parameters: [${name}] must have values`);
      if (AllowedValues?.includes(value) === false) {
        throw new AwsRefusal('ValidationError', `Parameter '${name}' must be one of AllowedValues`);
      }
      return [name, value];
    }),
  );
}

/** Conditions decided, and references to other databases of the stack replaced by their names. */
function resolved(template: Template, parameters: Readonly<Record<string, string>>): Resources {
  const { Resources } = resourcesSchema.parse(resolveTemplate(template, parameters));
  const named = new Map(
    Object.entries(Resources).map(([id, { Properties }]) => [id, Properties['DBInstanceIdentifier']]),
  );
  const nameOf = (value: unknown): unknown => {
    const reference = z.object({ Ref: z.string() }).safeParse(value);
    return reference.success ? (named.get(reference.data.Ref) ?? value) : value;
  };
  return Object.fromEntries(
    Object.entries(Resources).map(([id, { Type, Properties }]) => [
      id,
      {
        Type,
        Properties: Object.fromEntries(Object.entries(Properties).map(([name, value]) => [name, nameOf(value)])),
      },
    ]),
  );
}
