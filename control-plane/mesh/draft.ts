import { endpointsName, serviceName } from '../../wire/resource-kinds.ts';
import { emptyMap } from '../xds/persistent-map.ts';
import type { Conversion, Next } from './conversion.ts';
import type { EndpointSlice } from './endpoint-slice.ts';
import type { Node } from './node.ts';
import type { Identity } from './object.ts';
import { objectLabel } from './object.ts';
import { type Pod, samePod } from './pod.ts';
import type { Rejection } from './rejection.ts';
import type { Service } from './service.ts';
import { withSlice } from './slices-by-pod.ts';
import type { Applied, MeshState } from './state.ts';

/** The state in the making; each of its maps is replaced, not edited, so that the one before stays whole. */
export class Draft {
  #state: MeshState;
  readonly #nodes = new Set<string>();
  readonly #services = new Set<string>();
  readonly #endpoints = new Set<string>();
  readonly #rejections: Rejection[] = [];
  readonly #warnings: Rejection[] = [];

  constructor(state: MeshState) {
    this.#state = state;
  }

  enter(conversion: Conversion): void {
    this.#report(conversion);
    if (conversion.outcome !== 'rejected') this.#set(conversion.next);
    else if (conversion.certain !== undefined) this.#setUnreadable(conversion.certain);
  }

  finish(): Applied {
    return {
      state: this.#state,
      dirty: { nodes: this.#nodes, services: this.#services, endpoints: this.#endpoints },
      rejections: this.#rejections,
      warnings: this.#warnings,
    };
  }

  #report(conversion: Conversion): void {
    const { origin } = conversion;
    const object = objectLabel(conversion.outcome === 'rejected' ? conversion.identity : conversion.next);
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

  #set(next: Next): void {
    switch (next.kind) {
      case 'Service':
        return this.#setService(next, next.value);
      case 'EndpointSlice':
        return this.#setSlice(next, next.value);
      case 'Pod':
        return this.#setPod(next, next.value);
      case 'Node':
        return this.#setNode(next, next.value);
    }
  }

  /** The last good state stands; where there is none, what is certain. Neither is all that there is. */
  #setUnreadable(certain: Next): void {
    if (certain.kind === 'Service') {
      if (!this.#state.services.has(serviceName(certain.namespace, certain.name))) this.#set(certain);
    } else if (certain.kind === 'EndpointSlice') {
      const lastGood = this.#sliceNow(certain);
      this.#setSlice(certain, lastGood === undefined ? certain.value : { ...lastGood, incomplete: true });
    }
  }

  #setService({ namespace, name }: Identity<'Service'>, next: Service | undefined): void {
    const key = serviceName(namespace, name);
    const { services } = this.#state;
    const previous = services.get(key);
    this.#services.add(key);
    // That decides anew about resources that are compiled from its slices.
    if (previous?.type !== next?.type) {
      for (const slice of this.#state.slices.get(key)?.keys() ?? []) {
        this.#endpoints.add(endpointsName(key, slice));
      }
    }
    const changed = next === undefined ? services.delete(key) : services.set(key, next);
    this.#state = { ...this.#state, services: changed };
  }

  /** Of a slice that belongs to no Service nothing is kept. */
  #setSlice({ namespace, name }: Identity<'EndpointSlice'>, next: EndpointSlice | undefined): void {
    const key = `${namespace}/${name}`;
    const owner = next?.service === undefined ? undefined : serviceName(namespace, next.service);
    const previousOwner = this.#state.owners.get(key);
    const before = this.#sliceNow({ namespace, name });
    const after = owner === undefined ? undefined : next;
    if (previousOwner !== undefined && previousOwner !== owner) {
      this.#replaceSlice(previousOwner, name, undefined);
    }
    if (owner !== undefined) this.#replaceSlice(owner, name, after);
    const { owners, slicesByPod, incomplete } = this.#state;
    const label = objectLabel({ kind: 'EndpointSlice', namespace, name });
    this.#state = {
      ...this.#state,
      incomplete: after?.incomplete === true ? incomplete.set(label, true) : incomplete.delete(label),
      owners: owner === undefined ? owners.delete(key) : owners.set(key, owner),
      slicesByPod: withSlice(slicesByPod, key, { before, after }),
    };
  }

  #sliceNow({ namespace, name }: Omit<Identity<'EndpointSlice'>, 'kind'>): EndpointSlice | undefined {
    const owner = this.#state.owners.get(`${namespace}/${name}`);
    return owner === undefined ? undefined : this.#state.slices.get(owner)?.get(name);
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

  /** Pods change all the time, and hardly ever in what matters here. */
  #setPod({ namespace, name }: Identity<'Pod'>, next: Pod | undefined): void {
    const key = `${namespace}/${name}`;
    const { pods, slicesByPod, owners } = this.#state;
    if (samePod(pods.get(key), next)) return;
    for (const slice of slicesByPod.get(key) ?? []) {
      const owner = owners.get(slice);
      if (owner !== undefined) this.#endpoints.add(endpointsName(owner, slice.slice(namespace.length + 1)));
    }
    this.#state = { ...this.#state, pods: next === undefined ? pods.delete(key) : pods.set(key, next) };
  }

  /** Every node tells of itself every few minutes, mostly that nothing has changed. */
  #setNode({ name }: Identity<'Node'>, next: Node | undefined): void {
    const { nodes } = this.#state;
    if (nodes.get(name)?.zone === next?.zone) return;
    this.#nodes.add(name);
    this.#state = { ...this.#state, nodes: next === undefined ? nodes.delete(name) : nodes.set(name, next) };
  }
}
