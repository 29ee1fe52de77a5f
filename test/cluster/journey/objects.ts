/** Kubernetes objects of the journeys' applications. Whoever applies them says in which namespace. */
import type { NodeName } from '../layout.ts';

export const APP = 'cortexflow-test/app:1';
/** Where the applications listen unless they are told otherwise. */
export const APP_PORT = 8080;

type Fields = Readonly<Record<string, unknown>>;

export interface PodOptions {
  readonly name: string;
  readonly image?: string;
  /** Default: the server that answers its pod's name, app/server.ts. */
  readonly command?: readonly string[];
  /** What the readiness probe gets, at `path` of this port; `none` for no probe. */
  readonly ready?: { readonly path: string; readonly port: number } | 'none';
  /** Besides `app: <name>`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly node?: NodeName;
  /** More fields of the container, and of the pod's spec. */
  readonly container?: Fields;
  readonly spec?: Fields;
}

export interface WorkloadOptions extends PodOptions {
  readonly replicas?: number;
  /** More fields of the workload's spec. */
  readonly workload?: Fields;
}

/** A Deployment whose replicas are spread over the nodes. */
export function deployment({ replicas = 1, workload = {}, ...options }: WorkloadOptions): unknown {
  const { name } = options;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas, selector: { matchLabels: { app: name } }, template: podTemplate(options), ...workload },
  };
}

export function pod(options: PodOptions): unknown {
  const { metadata, spec } = podTemplate(options);
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: options.name, ...metadata }, spec };
}

/** What a workload of any kind makes its pods of. */
export function podTemplate({ name, ...options }: PodOptions): { metadata: Fields; spec: Fields } {
  const { ready = { path: '/', port: APP_PORT }, labels = {}, annotations = {}, node } = options;
  const container = {
    name,
    image: options.image ?? APP,
    command: options.command ?? ['node', '/app/server.ts'],
    ...(ready === 'none' ? {} : { readinessProbe: { httpGet: ready, periodSeconds: 1 } }),
    ...options.container,
  };
  const spread = {
    maxSkew: 1,
    topologyKey: 'kubernetes.io/hostname',
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: { app: name } },
  };
  return {
    metadata: { labels: { app: name, ...labels }, annotations },
    spec: {
      topologySpreadConstraints: [spread],
      ...(node === undefined ? {} : { nodeSelector: { 'kubernetes.io/hostname': node } }),
      containers: [container],
      ...options.spec,
    },
  };
}

export interface ServiceOptions {
  readonly name: string;
  /** Of pods; default: the Service's own name. */
  readonly app?: string;
  readonly port?: number;
  readonly targetPort?: number | string;
  /** More fields of its spec. */
  readonly spec?: Fields;
}

/** In both families. */
export function service({ name, app = name, port = APP_PORT, ...options }: ServiceOptions): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: {
      selector: { app },
      ipFamilyPolicy: 'PreferDualStack',
      ports: [{ port, targetPort: options.targetPort ?? port }],
      ...options.spec,
    },
  };
}
