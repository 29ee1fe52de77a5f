import type { PersistentMap } from '../xds/persistent-map.ts';
import { emptyMap } from '../xds/persistent-map.ts';
import type { EndpointSlice } from './endpoint-slice.ts';
import type { Node } from './node.ts';
import type { ObjectIdentity } from './object.ts';
import type { Pod } from './pod.ts';
import type { Rejection } from './rejection.ts';
import type { Service } from './service.ts';
import type { SlicesByPod } from './slices-by-pod.ts';

/** What a source tells: an object as it is now, whether new or changed or the same, or that it is gone. */
export type MeshEvent =
  | { readonly type: 'upsert'; readonly object: unknown; readonly origin?: string }
  | ({ readonly type: 'delete' } & ObjectIdentity);

/** All that the mesh is made of at one moment: of each object its last good state. */
export interface MeshState {
  /** By `namespace/name`. */
  readonly services: PersistentMap<Service>;
  /** By `namespace/service`, then by the slice's name; also of Services that are not there (yet). */
  readonly slices: PersistentMap<PersistentMap<EndpointSlice>>;
  /** `namespace/slice` to `namespace/service`: where to find a slice that is deleted or changes its Service. */
  readonly owners: PersistentMap<string>;
  /** By `namespace/name`: those that have a sidecar. */
  readonly pods: PersistentMap<Pod>;
  /** Where to find the slices that say something of a pod; also of pods that are not there (yet). */
  readonly slicesByPod: SlicesByPod;
  /** By name. */
  readonly nodes: PersistentMap<Node>;
  /** Objects whose newest state did not enter, by `Service demo/hello`. */
  readonly rejections: PersistentMap<Rejection>;
  /** Slices that are incomplete, by `EndpointSlice demo/hello-x7k`. */
  readonly incomplete: PersistentMap<true>;
  /** Objects that entered without some part of them, by `Service demo/hello`. */
  readonly warnings: PersistentMap<Rejection>;
}

export const EMPTY_STATE: MeshState = {
  services: emptyMap(),
  slices: emptyMap(),
  owners: emptyMap(),
  pods: emptyMap(),
  slicesByPod: emptyMap(),
  nodes: emptyMap(),
  rejections: emptyMap(),
  incomplete: emptyMap(),
  warnings: emptyMap(),
};

/** Names of the resources that may have to be compiled again. */
export interface Dirty {
  readonly nodes: ReadonlySet<string>;
  readonly services: ReadonlySet<string>;
  readonly endpoints: ReadonlySet<string>;
}

export interface Applied {
  readonly state: MeshState;
  readonly dirty: Dirty;
  /** What these events were rejected for or entered without, in their order. */
  readonly rejections: readonly Rejection[];
  readonly warnings: readonly Rejection[];
}
