import { isDeepStrictEqual } from 'node:util';
import { INJECTED_LABEL } from '../wire/pod.ts';
import { BOOTSTRAP_VARIABLE, INIT_CONTAINER, SIDECAR_CONTAINER, STATE_VOLUME } from './names.ts';
import { STATE } from './patch.ts';
import { type Container, containersOf, type Pod } from './pod.ts';
import type { ProxyContainers } from './sidecar-containers.ts';

/** What a pod has of an earlier injection: its own, if it is reviewed again, or that of a pod it was copied from. */
export interface Remains {
  /** Names of containers. */
  readonly containers: readonly string[];
  /** JSON Pointers of all parts, in an order in which they can be removed one after another. */
  readonly paths: readonly string[];
  /** The pod without them. */
  readonly rest: Pod;
}

/**
 * A name is no proof of an injection: a container is the proxy's if it has our variable, too. The volume is the
 * proxy's if such a container is there, or if it is exactly what is added to pods and the pod has their label.
 */
export function remainsOf(pod: Pod): Remains | undefined {
  const { spec, metadata } = pod;
  const found = containersOf(pod).filter(isProxy);
  const isLabelled = metadata.labels?.[INJECTED_LABEL] === 'true';
  const isState = (volume: { readonly name: string }): boolean =>
    volume.name === STATE_VOLUME && (found.length > 0 || (isLabelled && isDeepStrictEqual(volume, STATE)));
  if (found.length === 0 && !spec.volumes?.some(isState)) return undefined;
  const init = split(spec.initContainers ?? [], isProxy, '/spec/initContainers');
  const main = split(spec.containers, isProxy, '/spec/containers');
  const volumes = split(spec.volumes ?? [], isState, '/spec/volumes');
  return {
    containers: found.map(({ name }) => name),
    paths: [init, main, volumes].flatMap(({ paths }) => paths),
    rest: {
      ...pod,
      spec: {
        ...spec,
        containers: main.others,
        ...(spec.initContainers ? { initContainers: init.others } : {}),
        ...(spec.volumes ? { volumes: volumes.others } : {}),
      },
    },
  };
}

interface Split<T> {
  /** To those that are meant, the last one first. */
  readonly paths: readonly string[];
  readonly others: readonly T[];
}

function split<T>(list: readonly T[], isMeant: (item: T) => boolean, path: string): Split<T> {
  const paths = list.flatMap((item, index) => (isMeant(item) ? [`${path}/${index}`] : []));
  return { paths: paths.toReversed(), others: list.filter((item) => !isMeant(item)) };
}

export function hasBootstrap({ env }: Container): boolean {
  return Array.isArray(env) && env.some((variable) => isNamed(variable, BOOTSTRAP_VARIABLE));
}

function isProxy(container: Container): boolean {
  return isProxyName(container.name) && hasBootstrap(container);
}

export function isProxyName(name: string): boolean {
  return name === INIT_CONTAINER || name === SIDECAR_CONTAINER;
}

/**
 * Whether the pod has all that an injection adds, where it adds it. API servers fill in defaults, and other webhooks
 * may set the image, resources, mounts and variables that do not concern the proxy; all else has to be as it was
 * added.
 */
export function isInjected({ metadata, spec }: Pod, remains: Remains, wanted: ProxyContainers): boolean {
  const [init, sidecar] = spec.initContainers ?? [];
  const volumes = spec.volumes?.filter(({ name }) => name === STATE_VOLUME);
  return (
    remains.containers.length === 2 &&
    isAsAdded(init, wanted.init) &&
    isAsAdded(sidecar, wanted.sidecar) &&
    isDeepStrictEqual(volumes, [STATE]) &&
    metadata.labels?.[INJECTED_LABEL] === 'true'
  );
}

type Fields = Readonly<Record<string, unknown>>;

/** What containers may have that is not added to them. */
const OTHERS_MAY_ADD: ReadonlySet<string> = new Set([
  'imagePullPolicy',
  'resizePolicy',
  'terminationMessagePath',
  'volumeMounts',
]);

/** Variables by which other webhooks could change what the proxy does. */
const PROXY_VARIABLE = /^(?:CORTEXFLOW|NODE)_/u;

function isAsAdded(container: object | undefined, wanted: object): boolean {
  if (container === undefined) return false;
  const found: Fields = { ...container };
  const isUnknown = (field: string): boolean => !(field in wanted) && !OTHERS_MAY_ADD.has(field);
  if (Object.keys(found).some((field) => isUnknown(field) && found[field] !== null)) return false;
  return Object.entries(wanted).every(([field, value]) => isFieldAsAdded(field, found[field], value));
}

function isFieldAsAdded(field: string, found: unknown, wanted: unknown): boolean {
  switch (field) {
    case 'image':
      return typeof found === 'string' && found !== '';
    case 'resources':
      return true;
    case 'env':
      return Array.isArray(found) && contains(found.filter(concernsProxy), wanted);
    case 'volumeMounts':
      return (wanted as unknown[]).every(
        (mount) => Array.isArray(found) && found.some((own) => contains(own, mount)),
      );
    default:
      return contains(found, wanted);
  }
}

function concernsProxy(variable: unknown): boolean {
  return isObject(variable) && PROXY_VARIABLE.test(String(variable['name']));
}

/** Whether all that is wanted is found. What is found beside it in an object is a default of the API server. */
function contains(found: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(found) &&
      found.length === wanted.length &&
      wanted.every((item, index) => contains(found[index], item))
    );
  }
  if (!isObject(wanted)) return found === wanted;
  return (
    isObject(found) &&
    Object.entries(wanted).every(([field, value]) =>
      // Of capabilities there is no default: what is beside them was added by somebody.
      field === 'capabilities' ? isDeepStrictEqual(found[field], value) : contains(found[field], value),
    )
  );
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNamed(value: unknown, name: string): boolean {
  return isObject(value) && value['name'] === name;
}
