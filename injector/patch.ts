import { INJECTED_LABEL } from '../wire/pod.ts';
import { STATE_VOLUME } from './names.ts';
import type { Pod } from './pod.ts';
import type { ProxyContainers } from './sidecar-containers.ts';

/** One operation of a JSON Patch (RFC 6902). */
export type Operation =
  /** The path is a JSON Pointer (RFC 6901). */
  | { readonly op: 'add'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** Holds the last good state of the sidecar. What exceeds the limit would have the pod evicted. */
export const STATE = { name: STATE_VOLUME, emptyDir: { sizeLimit: '128Mi' } };

/** What has to be added to the pod. The proxy's containers come before the pod's own init containers. */
export function patchOf({ metadata, spec }: Pod, { init, sidecar }: ProxyContainers): Operation[] {
  return [
    ...inFront('/spec/initContainers', spec.initContainers, [init, sidecar]),
    ...atTheEnd('/spec/volumes', spec.volumes, STATE),
    member('/metadata/labels', metadata.labels, INJECTED_LABEL, 'true'),
  ];
}

type Maybe<T> = T | null | undefined;

function inFront(path: string, list: Maybe<readonly unknown[]>, values: readonly unknown[]): Operation[] {
  if (!list) return [add(path, values)];
  return values.map((value, index) => add(`${path}/${index}`, value));
}

function atTheEnd(path: string, list: Maybe<readonly unknown[]>, value: unknown): Operation[] {
  return [list ? add(`${path}/-`, value) : add(path, [value])];
}

function member(path: string, map: Maybe<object>, name: string, value: unknown): Operation {
  return map ? add(`${path}/${escaped(name)}`, value) : add(path, { [name]: value });
}

/** RFC 6901, 3: a name as one step of a path. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function remove(path: string): Operation {
  return { op: 'remove', path };
}

function add(path: string, value: unknown): Operation {
  return { op: 'add', path, value };
}
