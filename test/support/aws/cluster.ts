/** A cluster as kubectl shows it: workloads whose pods follow their template one look later, spread over the zones. */
import { z } from 'zod';
import type { Kubectl } from '../../../runbooks/aws/kubectl.ts';

interface FakePod {
  readonly name: string;
  readonly zone: string;
  image: string;
  annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

interface FakeWorkload {
  readonly kind: 'Deployment' | 'StatefulSet';
  readonly name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  readonly selector: Record<string, string>;
  image: string;
  podAnnotations: Record<string, string>;
  updateStrategy: string;
  generation: number;
  /** Looks until the pods are as the template says. */
  pending: number;
  pods: FakePod[];
  readonly zones: readonly string[];
}

const json = (text: string): Record<string, unknown> => z.record(z.string(), z.unknown()).parse(JSON.parse(text));
const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
const texts = z.record(z.string(), z.string()).catch({});

export class FakeCluster {
  readonly zones: readonly string[];
  readonly workloads = new Map<string, FakeWorkload>();
  /** Commands that change something, in order. */
  readonly acts: string[] = [];
  /** Answers for what is not simulated: by the beginning of the command. */
  readonly scripts = new Map<string, (input: string, args: readonly string[]) => string>();
  readonly jobs = new Map<string, { succeeded: number }>();
  /** Names for the reader: what a `get` of a Secret gives. */
  readonly secrets = new Map<string, Record<string, string>>();

  constructor(zones: readonly string[]) {
    this.zones = zones;
  }

  add(kind: FakeWorkload['kind'], name: string, image: string, replicas: number, zones = this.zones): FakeWorkload {
    const selector = { 'app.kubernetes.io/component': name };
    const workload: FakeWorkload = {
      kind,
      name,
      labels: {},
      annotations: {},
      selector,
      image,
      podAnnotations: {},
      updateStrategy: 'RollingUpdate',
      generation: 1,
      pending: 0,
      zones,
      pods: [],
    };
    this.workloads.set(name, workload);
    this.#fill(workload, replicas);
    return workload;
  }

  /** For the runbooks' world, in the place of a process. */
  readonly kubectl: Kubectl = async (_region, args, signal, input) => {
    signal.throwIfAborted();
    return this.answer(args, input === undefined ? '' : Buffer.from(input).toString());
  };

  answer(args: readonly string[], input: string): string {
    const line = args.join(' ');
    const script = [...this.scripts].find(([start]) => line.startsWith(start));
    if (script !== undefined) {
      this.acts.push(script[0]);
      return script[1](input, args);
    }
    const [verb, what = '', name = ''] = args;
    if (verb === 'get') return this.#get(what, args);
    this.acts.push(line.replaceAll(/ --(type|patch|output|overwrite)\S*/g, '').trim());
    if (verb === 'patch') return this.#patch(what, name, json(optionOf(args, 'patch')));
    if (verb === 'scale') return this.#scale(what.split('/')[1] ?? '', Number(optionOf(args, 'replicas')));
    if (verb === 'delete') return this.#delete(what.split('/')[1] ?? name);
    if (verb === 'create' && what === '--raw') return this.#evict(/pods\/([^/]+)\/eviction/.exec(line)?.[1] ?? '');
    if (verb === 'apply') return this.#apply(json(input));
    if (verb === 'annotate') return this.#annotate(what.split('/')[1] ?? '', name);
    throw new Error(`the cluster of the tests knows no ${line}`);
  }

  #get(what: string, args: readonly string[]): string {
    if (what === 'nodes') {
      return list(
        this.zones.map((zone) => ({
          metadata: { name: `node-${zone}`, labels: { 'topology.kubernetes.io/zone': zone } },
        })),
      );
    }
    if (what === 'deployments,statefulsets') {
      for (const workload of this.workloads.values()) this.#advance(workload);
      return list([...this.workloads.values()].map(workloadJson));
    }
    if (what === 'pods') {
      const selector = optionOf(args, 'selector')
        .split(',')
        .map((pair) => pair.split('='));
      const pods = [...this.workloads.values()].flatMap(({ pods: own }) => own);
      return list(
        pods.filter(({ labels }) => selector.every(([key = '', value]) => labels[key] === value)).map(podJson),
      );
    }
    if (what === 'jobs') {
      return list([...this.jobs].map(([name, status]) => ({ metadata: { name }, status })));
    }
    const workload = this.workloads.get(/^deployment\/(.+)$/.exec(what)?.[1] ?? '');
    if (workload !== undefined) return JSON.stringify(workloadJson(workload));
    const secret = /^secrets?\/(.+)$/.exec(what)?.[1];
    if (secret !== undefined) {
      const data = Object.entries(this.secrets.get(secret) ?? {}).map(([key, value]) => [
        key,
        Buffer.from(value).toString('base64'),
      ]);
      return JSON.stringify({ data: Object.fromEntries(data) });
    }
    throw new Error(`the cluster of the tests shows no ${args.join(' ')}`);
  }

  /** A rolling update that the controller carries out: its effect shows at the second look. */
  #advance(workload: FakeWorkload): void {
    if (workload.pending === 0 || --workload.pending > 0) return;
    for (const pod of workload.pods) {
      pod.image = workload.image;
      pod.annotations = workload.podAnnotations;
    }
  }

  #patch(kind: string, name: string, patch: Record<string, unknown>): string {
    const floor = at(patch, 'spec', 'minReplicas') ?? at(patch, 'spec', 'minReplicaCount');
    if (/autoscaler|scaledobject/.test(kind)) return this.#scale(name, Number(floor));
    const workload = this.#find(name);
    const annotations = at(patch, 'metadata', 'annotations');
    if (typeof annotations === 'object' && annotations !== null) {
      for (const [key, value] of Object.entries(annotations)) {
        if (value === null) delete workload.annotations[key];
        else workload.annotations[key] = String(value);
      }
    }
    const strategy = at(patch, 'spec', 'updateStrategy', 'type');
    if (typeof strategy === 'string') workload.updateStrategy = strategy;
    const [container] = z
      .array(z.object({ image: z.string() }))
      .catch([])
      .parse(at(patch, 'spec', 'template', 'spec', 'containers'));
    if (container !== undefined) workload.image = container.image;
    Object.assign(workload.podAnnotations, texts.parse(at(patch, 'spec', 'template', 'metadata', 'annotations')));
    workload.podAnnotations = { ...workload.podAnnotations };
    workload.generation++;
    if (workload.updateStrategy === 'RollingUpdate') workload.pending = 2;
    return '';
  }

  #apply(object: Record<string, unknown>): string {
    const name = String(at(object, 'metadata', 'name'));
    if (object['kind'] === 'Job') this.jobs.set(name, { succeeded: 1 });
    if (object['kind'] !== 'Deployment' && object['kind'] !== 'StatefulSet') return '';
    if (this.workloads.has(name)) return '';
    const [container] = z
      .array(z.object({ image: z.string() }))
      .parse(at(object, 'spec', 'template', 'spec', 'containers'));
    const zone = at(object, 'spec', 'template', 'spec', 'nodeSelector', 'topology.kubernetes.io/zone');
    const kind = object['kind'] === 'StatefulSet' ? 'StatefulSet' : 'Deployment';
    const made = this.add(kind, name, container?.image ?? '', 0, typeof zone === 'string' ? [zone] : this.zones);
    Object.assign(made.selector, texts.parse(at(object, 'spec', 'selector', 'matchLabels')));
    this.#fill(made, Number(at(object, 'spec', 'replicas') ?? 1));
    return '';
  }

  #annotate(name: string, pair: string): string {
    const sign = pair.indexOf('=');
    this.#find(name).annotations[pair.slice(0, sign)] = pair.slice(sign + 1);
    return '';
  }

  #scale(name: string, to: number): string {
    const workload = this.#find(name);
    if (workload.pods.length < to) this.#fill(workload, to);
    return '';
  }

  #delete(name: string): string {
    this.workloads.delete(name);
    this.jobs.delete(name);
    return '';
  }

  /** Its successor stands in the same zone, as where a volume binds it. */
  #evict(name: string): string {
    for (const workload of this.workloads.values()) {
      const pod = workload.pods.find((one) => one.name === name);
      if (pod === undefined) continue;
      pod.image = workload.image;
      pod.annotations = workload.podAnnotations;
      return '';
    }
    throw new Error(`there is no pod ${name}`);
  }

  #fill(workload: FakeWorkload, replicas: number): void {
    for (let index = workload.pods.length; index < replicas; index++) {
      workload.pods.push({
        name: `${workload.name}-${index}`,
        zone: workload.zones[index % workload.zones.length] ?? '',
        image: workload.image,
        annotations: workload.podAnnotations,
        labels: workload.selector,
      });
    }
  }

  #find(name: string): FakeWorkload {
    const found = this.workloads.get(name);
    if (found === undefined) throw new Error(`NotFound: ${name}`);
    return found;
  }
}

const list = (items: readonly unknown[]): string => JSON.stringify({ items });

function optionOf(args: readonly string[], name: string): string {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? '';
}

function workloadJson(workload: FakeWorkload): unknown {
  const { kind, name, labels, annotations, selector, image, podAnnotations, updateStrategy, generation, pods } =
    workload;
  const updated = pods.filter((pod) => pod.image === image && pod.annotations === podAnnotations).length;
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, labels, annotations, generation, resourceVersion: '7', uid: name },
    spec: {
      replicas: pods.length,
      selector: { matchLabels: selector },
      updateStrategy: { type: updateStrategy },
      template: {
        metadata: { labels: selector, annotations: podAnnotations },
        spec: { containers: [{ name: selector['app.kubernetes.io/component'] ?? name, image }] },
      },
    },
    status: {
      observedGeneration: generation,
      replicas: pods.length,
      readyReplicas: pods.length,
      updatedReplicas: updated,
    },
  };
}

const podJson = ({ name, zone, image, annotations, labels }: FakePod): unknown => ({
  metadata: { name, labels, annotations },
  spec: { nodeName: `node-${zone}`, containers: [{ name: labels['app.kubernetes.io/component'] ?? name, image }] },
  status: { conditions: [{ type: 'Ready', status: 'True' }] },
});
