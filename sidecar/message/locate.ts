import type { EndpointGroup } from '../services/decision.ts';
import { endpointGroup, type GroupMemo } from '../services/groups.ts';
import type { EndpointSlice, Service, ServiceKey, ServicePort } from '../services/service.ts';
import { type EndpointsEntry, isTold, type Table } from '../services/table.ts';
import { type Answer, failed } from './answer.ts';

/** Where a message goes. */
export type Place =
  /** To the workload behind this sidecar. */
  | { readonly at: 'here' }
  /** To a sidecar of one of these; candidates are sidecars' addresses and the message port. */
  | { readonly at: 'elsewhere'; readonly group: EndpointGroup }
  /** Not told yet: use the Service until it is known, and ask again. */
  | { readonly at: 'not-told' }
  | { readonly at: 'nowhere'; readonly answer: Answer };

/** No Service has such a port: it stands for that of the sidecars in front of the endpoints. */
const MESSAGE_PORT: ServicePort = { name: 'message', port: 0, protocol: 'tcp', appProtocol: '' };

interface Derived {
  readonly slices: ReadonlyMap<string, { readonly slice: EndpointSlice }>;
  readonly groups: GroupMemo;
}

/** Whether a Service is served at one of these addresses. */
interface Served {
  readonly own: ReadonlySet<string>;
  readonly here: boolean;
}

/** Finds whose messages are taken where. Keeps what it computed for as long as the endpoints stay what they are. */
export class Locator {
  readonly #port: number;
  readonly #derived = new WeakMap<EndpointsEntry, Derived>();
  readonly #served = new WeakMap<EndpointsEntry, Served>();

  /** @param port on which sidecars take messages */
  constructor(port: number) {
    this.#port = port;
  }

  /** @param own this machine's addresses, the same object while they are the same */
  locate(table: Table, key: ServiceKey, own: ReadonlySet<string>): Place {
    const service = table.services.get(key)?.service;
    if (service === undefined && table.servicesKnown) return nowhere('unknown-service', unknown(key));
    const outside = service === undefined ? undefined : outsideOf(service);
    if (outside !== undefined) return outside;
    const entry = table.endpoints.get(key);
    if (service === undefined || entry === undefined) {
      return isTold(table, key) ? nowhere('not-ready', notTold(key)) : { at: 'not-told' };
    }
    return this.#isServedBy(entry, own) ? { at: 'here' } : this.#elsewhere(table, service, entry);
  }

  /** Also while it is not ready: whoever says that it is this Service's gets its messages. */
  #isServedBy(entry: EndpointsEntry, own: ReadonlySet<string>): boolean {
    const known = this.#served.get(entry);
    if (known?.own === own) return known.here;
    const slices = entry.slices.values();
    const here = slices.some(({ slice }) => slice.endpoints.some(({ address }) => own.has(address)));
    this.#served.set(entry, { own, here });
    return here;
  }

  #elsewhere(table: Table, service: Service, entry: EndpointsEntry): Place {
    const group = this.#group(table, service, entry);
    return group === undefined
      ? nowhere('no-endpoints', absence(service, entry))
      : { at: 'elsewhere', group };
  }

  #group({ locality: place }: Table, service: Service, entry: EndpointsEntry): EndpointGroup | undefined {
    let derived = this.#derived.get(entry);
    if (derived === undefined) this.#derived.set(entry, (derived = this.#derive(entry)));
    const families =
      service.ipFamilies[0] === 'ipv6' ? (['ipv6', 'ipv4'] as const) : (['ipv4', 'ipv6'] as const);
    let group: EndpointGroup | undefined;
    for (const family of families) {
      group ??= endpointGroup(derived, { service, port: MESSAGE_PORT, family, place });
    }
    return group;
  }

  /** The same slices with those endpoints alone that have a sidecar, on its port. */
  #derive({ slices }: EndpointsEntry): Derived {
    const ports = [{ name: MESSAGE_PORT.name, port: this.#port, protocol: MESSAGE_PORT.protocol }];
    const derived = [...slices].map(([name, { slice }]) => {
      const endpoints = slice.endpoints.filter(({ inMesh }) => inMesh);
      return [name, { slice: { ...slice, ports, endpoints } }] as const;
    });
    return { slices: new Map(derived), groups: new Map() };
  }
}

function nowhere(outcome: Parameters<typeof failed>[0], detail: string): Place {
  return { at: 'nowhere', answer: failed(outcome, detail) };
}

/** Undefined for a Service that has endpoints of its own. */
function outsideOf(service: Service): Place | undefined {
  switch (service.type) {
    case 'external-name':
      return nowhere('external-name', externalName(service));
    case 'other':
      return nowhere('unknown-service', otherService(service.key));
    default:
      return undefined;
  }
}

function unknown(key: ServiceKey): string {
  return `Service ${key} is not in the mesh: check its name and namespace.`;
}

function otherService(key: ServiceKey): string {
  return `Service ${key} is not in the mesh: its label service.kubernetes.io/service-proxy-name leaves it to another proxy, or the control plane rejected it, whose log then says why.`;
}

function externalName({ key, externalName: alias }: Service): string {
  return `Service ${key} is an ExternalName alias for ${alias ?? ''}, which is outside of the mesh.`;
}

export function notTold(key: ServiceKey): string {
  return `no control plane has told the endpoints of Service ${key} yet: send it again later.`;
}

function absence({ key, internalTrafficPolicy }: Service, { slices }: EndpointsEntry): string {
  const endpoints = [...slices.values()].flatMap(({ slice }) => slice.endpoints);
  const inMesh = endpoints.filter((endpoint) => endpoint.inMesh);
  if (endpoints.length === 0)
    return `Service ${key} has no endpoints: check that pods run which its selector matches.`;
  if (inMesh.length === 0) {
    return `Service ${key} has endpoints (${endpoints.length}), and none has a sidecar to take messages.`;
  }
  if (internalTrafficPolicy === 'local') {
    return `Service ${key} has internalTrafficPolicy: Local and no ready endpoint with a sidecar on this node.`;
  }
  return `Service ${key} has endpoints with a sidecar (${inMesh.length}), and none is ready.`;
}
