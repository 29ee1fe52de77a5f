import { Field, isObject, Problems, shown } from './field.ts';

/** The kinds that the mesh is made of. */
export type Kind = 'Service' | 'EndpointSlice' | 'Pod' | 'Node';

/** A Node belongs to the cluster and to no namespace. */
export type Identity<K extends Kind> = K extends 'Node'
  ? { readonly kind: K; readonly name: string }
  : { readonly kind: K; readonly namespace: string; readonly name: string };

/** What tells one Kubernetes object from all others, whatever is in it. */
export type ObjectIdentity = Identity<Kind>;

export type Identified =
  | { readonly outcome: 'identified'; readonly identity: ObjectIdentity }
  /** Not for the mesh; `reason` is a sentence. */
  | { readonly outcome: 'skipped'; readonly reason: string }
  /** Meant as a Kubernetes object and yet nobody can say which. */
  | { readonly outcome: 'unidentified'; readonly problems: readonly string[] };

/**
 * On a Service, and on its slices, that another proxy than kube-proxy is to serve, whatever the value.
 * https://kubernetes.io/docs/reference/labels-annotations-taints/#servicekubernetesioservice-proxy-name
 */
export const OTHER_PROXY_LABEL = 'service.kubernetes.io/service-proxy-name';

const API_VERSIONS: Readonly<Record<Kind, string>> = {
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Pod: 'v1',
  Node: 'v1',
};

/** As messages list them: `v1 Service`. */
const READ_KINDS = Object.entries(API_VERSIONS).map(([kind, apiVersion]) => `${apiVersion} ${kind}`);

const ITEM_KINDS: Readonly<Record<string, Kind>> = {
  ServiceList: 'Service',
  EndpointSliceList: 'EndpointSlice',
  PodList: 'Pod',
  NodeList: 'Node',
};

/** `Service demo/hello`, `Node node-a`: how messages name an object, and the key it is kept under. */
export function objectLabel(identity: ObjectIdentity): string {
  const { kind, name } = identity;
  return kind === 'Node' ? `${kind} ${name}` : `${kind} ${identity.namespace}/${name}`;
}

/** Which object this is. The namespace, where the kind has one, defaults to `default`, as with kubectl. */
export function identify(object: unknown): Identified {
  if (!isObject(object)) {
    const problem = `the document is ${shown(object)}: write a Kubernetes object, with apiVersion, kind and metadata`;
    return { outcome: 'unidentified', problems: [problem] };
  }
  if (object['apiVersion'] === undefined && object['kind'] === undefined) {
    return {
      outcome: 'skipped',
      reason: 'a document with neither apiVersion nor kind is no Kubernetes object',
    };
  }
  return identifyTyped(object);
}

function identifyTyped(object: Readonly<Record<string, unknown>>): Identified {
  const problems = new Problems();
  const root = new Field(object, '', problems);
  const kind = requiredText(root.at('kind'), 'say which kind of object this is, e.g. Service');
  const apiVersion = requiredText(root.at('apiVersion'), 'say which version of the kind, e.g. v1');
  if (!problems.isEmpty) return { outcome: 'unidentified', problems: problems.sentences };
  if (!isKind(kind) || API_VERSIONS[kind] !== apiVersion) {
    return { outcome: 'skipped', reason: notRead(apiVersion, kind) };
  }
  const metadata = root.at('metadata');
  const name = requiredText(metadata.at('name'), `name the ${kind}`);
  const namespace = metadata.at('namespace').text() || 'default';
  if (!problems.isEmpty) return { outcome: 'unidentified', problems: problems.sentences };
  if (kind === 'Node') return { outcome: 'identified', identity: { kind, name } };
  if (kind === 'EndpointSlice' && hasOtherProxy(object))
    return { outcome: 'skipped', reason: OF_OTHER_PROXY };
  return { outcome: 'identified', identity: { kind, namespace, name } };
}

/** The objects in a `v1 List`, or in the list of one kind, whose items need not repeat the kind; else the object itself. */
export function unpackList(object: unknown): readonly unknown[] {
  if (!isObject(object) || !Array.isArray(object['items'])) return [object];
  const kind = object['kind'];
  if (kind === 'List' && object['apiVersion'] === 'v1') return object['items'];
  const itemKind = typeof kind === 'string' ? ITEM_KINDS[kind] : undefined;
  if (itemKind === undefined || object['apiVersion'] !== API_VERSIONS[itemKind]) return [object];
  const typed = { apiVersion: API_VERSIONS[itemKind], kind: itemKind };
  return object['items'].map((item: unknown) => (isObject(item) ? { ...typed, ...item } : item));
}

const OF_OTHER_PROXY = `an EndpointSlice with the label ${OTHER_PROXY_LABEL} is left to the proxy that it names`;

/** Whether a Service or its slice is to be served by another proxy. */
export function hasOtherProxy(object: unknown): boolean {
  const metadata = isObject(object) ? object['metadata'] : undefined;
  const labels = isObject(metadata) ? metadata['labels'] : undefined;
  return isObject(labels) && Object.hasOwn(labels, OTHER_PROXY_LABEL);
}

function isKind(kind: string): kind is Kind {
  return Object.hasOwn(API_VERSIONS, kind);
}

function notRead(apiVersion: string, kind: string): string {
  const remedy =
    kind === 'Endpoints' || kind === 'EndpointSlice'
      ? 'write its addresses as a discovery.k8s.io/v1 EndpointSlice'
      : `the mesh reads ${READ_KINDS.slice(0, -1).join(', ')} and ${READ_KINDS.at(-1)}`;
  return `${shown(`${apiVersion} ${kind}`)} is left out: ${remedy}`;
}

function requiredText(field: Field, remedy: string): string {
  const text = field.text();
  if (field.isBlank) field.reject(remedy);
  return text;
}
