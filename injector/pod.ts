import { excerpt, objectName } from './options/excerpt.ts';

/** What of a pod the injector looks at, as the API server writes it. */
export interface Pod {
  readonly metadata: PodMetadata;
  readonly spec: PodSpec;
}

export type TextMap = Readonly<Record<string, string>>;

export interface PodMetadata {
  readonly name?: string;
  readonly generateName?: string;
  readonly labels?: TextMap;
  readonly annotations?: TextMap;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly Named[];
  readonly hostNetwork?: boolean;
  readonly os?: { readonly name: string };
  readonly nodeSelector?: TextMap;
  readonly affinity?: {
    readonly nodeAffinity?: {
      readonly requiredDuringSchedulingIgnoredDuringExecution?: {
        readonly nodeSelectorTerms: readonly NodeSelectorTerm[];
      };
    };
  };
  readonly securityContext?: UserContext;
  /** The budget of the pod as a whole (KEP-2837). */
  readonly resources?: object;
}

export interface Container extends Named {
  readonly ports?: readonly ContainerPort[];
  readonly securityContext?: UserContext;
  /** Looked into where it matters; until then it may be anything. */
  readonly env?: unknown;
}

export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
  readonly matchFields?: readonly unknown[];
}

/** Options of which the injector wants to know whether any is set. */
export type WindowsContext = Readonly<Record<string, unknown>>;

interface Named {
  readonly name: string;
}

export interface ContainerPort {
  readonly containerPort: number;
  /** The API server makes TCP of what is left out, before or after webhooks are asked. */
  readonly protocol?: string | null;
}

interface UserContext {
  readonly runAsUser?: number;
  readonly windowsOptions?: WindowsContext;
}

export type ReadPod = { readonly ok: true; readonly pod: Pod } | { readonly ok: false; readonly why: string };

/**
 * Takes an object for a pod if what is looked at has the shape that it must have; `null` is as good as nothing.
 * An API server always sends such; whoever else reaches the port sends anything. `why` names the field and what
 * is there.
 */
export function readPod(object: unknown): ReadPod {
  const fault = podShape(object);
  return fault === '' ? { ok: true, pod: object as Pod } : { ok: false, why: fault.replace(/^\./, '') };
}

export function containersOf({ spec }: Pod): Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** For messages. A pod whose name the API server will make up has none yet. */
export function podName({ metadata }: Pod): string {
  if (metadata.name) return objectName(metadata.name);
  return metadata.generateName ? `${objectName(metadata.generateName)}*` : 'without a name';
}

/** What is wrong, after the path to it: `.spec.containers[0].name is not text`. Empty: nothing is. */
type Shape = (value: unknown) => string;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const text: Shape = (value) => (typeof value === 'string' ? '' : ' is not text');
const number: Shape = (value) => (typeof value === 'number' ? '' : ' is not a number');
const flag: Shape = (value) => (typeof value === 'boolean' ? '' : ' is not true or false');

const texts: Shape = (value) => {
  if (!isObject(value)) return ' is not an object of texts';
  for (const key in value) {
    if (typeof value[key] !== 'string') return `[${excerpt(key)}] is not text`;
  }
  return '';
};

function optional(shape: Shape): Shape {
  return (value) => (value === undefined || value === null ? '' : shape(value));
}

function list(shape: Shape): Shape {
  return (value) => {
    if (!Array.isArray(value)) return ' is not a list';
    for (let index = 0; index < value.length; index += 1) {
      const fault = shape(value[index]);
      if (fault !== '') return `[${index}]${fault}`;
    }
    return '';
  };
}

function fields(shapes: Readonly<Record<string, Shape>>): Shape {
  const entries = Object.entries(shapes);
  return (value) => {
    if (!isObject(value)) return ' is not an object';
    for (const [name, shape] of entries) {
      const fault = shape(value[name]);
      if (fault !== '') return `.${name}${fault}`;
    }
    return '';
  };
}

const user = optional(fields({ runAsUser: optional(number), windowsOptions: optional(fields({})) }));

const nodeSelectorTerm = fields({
  matchExpressions: optional(list(fields({ key: text, operator: text, values: optional(list(text)) }))),
  matchFields: optional(list(() => '')),
});

const affinity = fields({
  nodeAffinity: optional(
    fields({
      requiredDuringSchedulingIgnoredDuringExecution: optional(
        fields({ nodeSelectorTerms: list(nodeSelectorTerm) }),
      ),
    }),
  ),
});

const containers = list(
  fields({
    name: text,
    ports: optional(list(fields({ containerPort: number, protocol: optional(text) }))),
    securityContext: user,
  }),
);

const podShape = fields({
  metadata: fields({
    name: optional(text),
    generateName: optional(text),
    labels: optional(texts),
    annotations: optional(texts),
  }),
  spec: fields({
    containers,
    initContainers: optional(containers),
    volumes: optional(list(fields({ name: text }))),
    hostNetwork: optional(flag),
    os: optional(fields({ name: text })),
    nodeSelector: optional(texts),
    affinity: optional(affinity),
    securityContext: user,
    resources: optional(fields({})),
  }),
});
