import { endpointsName, serviceName } from '../../wire/resource-kinds.ts';
import type { PersistentMap } from '../xds/persistent-map.ts';
import { emptyMap } from '../xds/persistent-map.ts';
import type { EndpointSlice } from './endpoint-slice.ts';
import { parseEndpointSlice } from './endpoint-slice.ts';
import type { ObjectIdentity } from './object.ts';
import { identify, objectLabel, unpackList } from './object.ts';
import type { Parsed } from './parsed.ts';
import type { Rejection } from './rejection.ts';
import type { Service } from './service.ts';
import { parseService } from './service.ts';

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
  /** Objects whose newest state did not enter, by `Service demo/hello`. */
  readonly rejections: PersistentMap<Rejection>;
  /** Objects that entered without some part of them, by `Service demo/hello`. */
  readonly warnings: PersistentMap<Rejection>;
}

export const EMPTY_STATE: MeshState = {
  services: emptyMap(),
  slices: emptyMap(),
  owners: emptyMap(),
  rejections: emptyMap(),
  warnings: emptyMap(),
};

/** Names of the resources that may have to be compiled again. */
export interface Dirty {
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

/**
 * The state after the events, in their order. Every object is converted first, then all good ones enter; a bad
 * one rejects only itself and leaves the last good state of it standing. Costs what the events touch, not
 * what the mesh holds.
 */
export function apply(state: MeshState, events: readonly MeshEvent[]): Applied {
  const conversions = events.flatMap(convert);
  const draft = new Draft(state);
  for (const conversion of conversions) draft.enter(conversion);
  return draft.finish();
}

type Conversion = { readonly identity: ObjectIdentity; readonly origin: string | undefined } & (
  | { readonly outcome: 'deleted' }
  | { readonly outcome: 'rejected'; readonly problems: readonly string[] }
  | { readonly outcome: 'accepted'; readonly content: Content; readonly warnings: readonly string[] }
);

type Content =
  | { readonly kind: 'Service'; readonly value: Service }
  | { readonly kind: 'EndpointSlice'; readonly value: EndpointSlice };

function convert(event: MeshEvent): readonly Conversion[] {
  if (event.type === 'delete') return [{ outcome: 'deleted', identity: event, origin: undefined }];
  return unpackList(event.object).flatMap((object) => convertObject(object, event.origin));
}

/** Of an object that is not for the mesh, or that nobody can name, there is nothing to keep; who read it says so. */
function convertObject(object: unknown, origin: string | undefined): readonly Conversion[] {
  const identified = identify(object);
  if (identified.outcome !== 'identified') return [];
  const { identity } = identified;
  const result = parseContent(object, identity);
  if (result.outcome === 'rejected') return [{ ...result, identity, origin }];
  return [{ outcome: 'accepted', content: result.value, warnings: result.warnings, identity, origin }];
}

function parseContent(object: unknown, identity: ObjectIdentity): Parsed<Content> {
  return identity.kind === 'Service'
    ? tagged('Service', parseService(object, identity))
    : tagged('EndpointSlice', parseEndpointSlice(object, identity));
}

function tagged<Kind extends string, Value>(
  kind: Kind,
  result: Parsed<Value>,
): Parsed<{ readonly kind: Kind; readonly value: Value }> {
  return result.outcome === 'accepted' ? { ...result, value: { kind, value: result.value } } : result;
}

/** The state in the making; each of its maps is replaced, not edited, so that the one before stays whole. */
class Draft {
  #state: MeshState;
  readonly #services = new Set<string>();
  readonly #endpoints = new Set<string>();
  readonly #rejections: Rejection[] = [];
  readonly #warnings: Rejection[] = [];

  constructor(state: MeshState) {
    this.#state = state;
  }

  enter(conversion: Conversion): void {
    this.#report(conversion);
    const { identity } = conversion;
    if (conversion.outcome === 'rejected') return;
    if (conversion.outcome === 'deleted') {
      if (identity.kind === 'Service') this.#setService(identity, undefined);
      else this.#setSlice(identity, undefined);
    } else if (conversion.content.kind === 'Service') this.#setService(identity, conversion.content.value);
    else this.#setSlice(identity, conversion.content.value);
  }

  finish(): Applied {
    return {
      state: this.#state,
      dirty: { services: this.#services, endpoints: this.#endpoints },
      rejections: this.#rejections,
      warnings: this.#warnings,
    };
  }

  #report(conversion: Conversion): void {
    const object = objectLabel(conversion.identity);
    const { origin } = conversion;
    let { rejections, warnings } = this.#state;
    rejections = rejections.delete(object);
    if (conversion.outcome === 'rejected') {
      const rejection = { object, origin, problems: conversion.problems };
      rejections = rejections.set(object, rejection);
      this.#rejections.push(rejection);
    } else warnings = warnings.delete(object);
    if (conversion.outcome === 'accepted' && conversion.warnings.length > 0) {
      const warning = { object, origin, problems: conversion.warnings };
      warnings = warnings.set(object, warning);
      this.#warnings.push(warning);
    }
    this.#state = { ...this.#state, rejections, warnings };
  }

  #setService({ namespace, name }: ObjectIdentity, next: Service | undefined): void {
    const key = serviceName(namespace, name);
    const { services } = this.#state;
    const previous = services.get(key);
    this.#services.add(key);
    if (changesItsEndpoints(previous, next)) {
      for (const slice of this.#state.slices.get(key)?.keys() ?? []) {
        this.#endpoints.add(endpointsName(key, slice));
      }
    }
    const changed = next === undefined ? services.delete(key) : services.set(key, next);
    this.#state = { ...this.#state, services: changed };
  }

  #setSlice({ namespace, name }: ObjectIdentity, next: EndpointSlice | undefined): void {
    const key = `${namespace}/${name}`;
    const owner = next?.service === undefined ? undefined : serviceName(namespace, next.service);
    const previousOwner = this.#state.owners.get(key);
    if (previousOwner !== undefined && previousOwner !== owner) {
      this.#replaceSlice(previousOwner, name, undefined);
    }
    if (owner !== undefined) this.#replaceSlice(owner, name, next);
    const { owners } = this.#state;
    const changed = owner === undefined ? owners.delete(key) : owners.set(key, owner);
    this.#state = { ...this.#state, owners: changed };
  }

  #replaceSlice(service: string, name: string, next: EndpointSlice | undefined): void {
    const { slices } = this.#state;
    const own = slices.get(service) ?? emptyMap<EndpointSlice>();
    const changed = next === undefined ? own.delete(name) : own.set(name, next);
    this.#endpoints.add(endpointsName(service, name));
    this.#state = {
      ...this.#state,
      slices: changed.size === 0 ? slices.delete(service) : slices.set(service, changed),
    };
  }
}

/** Whether what a Service is decides anew about resources that are compiled from its slices. */
function changesItsEndpoints(previous: Service | undefined, next: Service | undefined): boolean {
  return (
    previous?.type !== next?.type || previous?.publishNotReadyAddresses !== next?.publishNotReadyAddresses
  );
}
