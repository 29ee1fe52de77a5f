import { isIPv6 } from 'node:net';
import { explainAbsence } from './absence.ts';
import { isMisleading, mayBeOutdated } from './completeness.ts';
import {
  type Decision,
  type Destination,
  type EndpointGroup,
  FALLBACK,
  type RefusalReason,
} from './decision.ts';
import { endpointGroup } from './groups.ts';
import type { IpFamily, Protocol, Service, ServiceKey, ServicePort } from './service.ts';
import type { EndpointsEntry, Table } from './table.ts';

type AddressDestination = Extract<Destination, { kind: 'address' }>;
type ListenerDestination = Extract<Destination, { kind: 'listener' }>;
type ServiceDestination = Extract<Destination, { kind: 'service' }>;

/**
 * What to do with a connection to this destination, according to this table. Where the table may be wrong, a connection
 * to a cluster IP passes through: kube-proxy finds an endpoint by what Kubernetes itself knows.
 */
export function decide(table: Table, destination: Destination): Decision {
  const decision = byTable(table, destination);
  const service = doubtfulService(table, decision);
  if (service === undefined || destination.kind !== 'address') return decision;
  return { action: 'pass-through', address: destination.address, port: destination.port, service };
}

/** The Service for which the table is better not followed. */
function doubtfulService(table: Table, decision: Decision): ServiceKey | undefined {
  if (decision.action === 'refuse') {
    const { service, reason } = decision;
    const falls = service !== undefined && FALLBACK[reason] === 'allowed' && mayBeOutdated(table, service);
    return falls ? service : undefined;
  }
  if (decision.action !== 'balance') return undefined;
  const { key } = decision.group.service;
  return isMisleading(table, key) ? key : undefined;
}

function byTable(table: Table, destination: Destination): Decision {
  switch (destination.kind) {
    case 'service':
      return decideService(table, destination);
    case 'address':
      return decideAddress(table, destination);
    case 'workload':
      return { action: 'pass-through', address: destination.address, port: destination.port };
    default:
      return refuse('not-redirected', notRedirected(destination));
  }
}

function decideService(table: Table, destination: ServiceDestination): Decision {
  const key = destination.service;
  const service = table.services.get(key)?.service;
  if (service === undefined) {
    return table.servicesKnown ? refuse('unknown-service', unknownService(key)) : untold(table, key);
  }
  if (service.type === 'other') {
    return refuse('unknown-service', otherService(key));
  }
  if (service.type === 'external-name') {
    return refuse('external-name', externalName(service));
  }
  const port = findPort(service, destination);
  if (port === undefined) {
    return refuse('unknown-port', unknownPort(service, destination));
  }
  const endpoints = table.endpoints.get(key);
  if (endpoints === undefined) {
    return untold(table, key);
  }
  return balance(table, { service, port, endpoints, families: familiesOf(service) });
}

/**
 * A connection to anything but a cluster IP goes where it was going: pods and headless endpoints are
 * addressed one by one on purpose, and the rest is no business of the mesh.
 */
function decideAddress(table: Table, destination: AddressDestination): Decision {
  const passThrough = {
    action: 'pass-through',
    address: destination.address,
    port: destination.port,
  } as const;
  const key = table.serviceByClusterIp.get(destination.address);
  const service = key === undefined ? undefined : table.services.get(key)?.service;
  if (service === undefined) {
    return passThrough;
  }
  const port = findPort(service, destination);
  if (port === undefined) {
    return refuse('unknown-port', unknownPort(service, destination), service.key);
  }
  const endpoints = table.endpoints.get(service.key);
  if (endpoints === undefined) {
    // kube-proxy still knows the way when no control plane answers.
    return table.overdue.has(service.key)
      ? { ...passThrough, service: service.key }
      : { action: 'load', service: service.key };
  }
  const family = isIPv6(destination.address) ? 'ipv6' : 'ipv4';
  return balance(table, { service, port, endpoints, families: [family] });
}

interface Balanced {
  readonly service: Service;
  readonly port: ServicePort;
  readonly endpoints: EndpointsEntry;
  /** In order of preference. */
  readonly families: readonly IpFamily[];
}

function balance(table: Table, { service, port, endpoints, families }: Balanced): Decision {
  const place = table.locality;
  let group: EndpointGroup | undefined;
  for (const family of families) {
    group ??= endpointGroup(endpoints, { service, port, family, place });
  }
  return group === undefined
    ? refuse(
        'no-endpoints',
        explainAbsence(endpoints.slices, { service, port, families, place }),
        service.key,
      )
    : { action: 'balance', group };
}

function familiesOf(service: Service): readonly IpFamily[] {
  return service.ipFamilies[0] === 'ipv6' ? ['ipv6', 'ipv4'] : ['ipv4', 'ipv6'];
}

function findPort(
  service: Service,
  wanted: { readonly port: number; readonly protocol: Protocol },
): ServicePort | undefined {
  return service.ports.find(({ port, protocol }) => port === wanted.port && protocol === wanted.protocol);
}

/** Nothing was told yet: worth a wait, unless that wait is over. */
function untold(table: Table, service: ServiceKey): Decision {
  return table.overdue.has(service)
    ? refuse(
        'not-ready',
        `No control plane has told what is needed to reach Service ${service}, and the wait for it is over: check that one runs, that the sidecar can reach it, and that nothing of this Service was rejected (GET /config on the admin page).`,
      )
    : { action: 'load', service };
}

function refuse(reason: RefusalReason, detail: string, service?: ServiceKey): Decision {
  return { action: 'refuse', reason, detail, ...(service === undefined ? {} : { service }) };
}

function unknownService(key: ServiceKey): string {
  return `Service ${key} is not in the mesh: check its name and namespace, or whether it was deleted.`;
}

function otherService(key: ServiceKey): string {
  return `Service ${key} is not in the mesh: its label service.kubernetes.io/service-proxy-name leaves it to another proxy, or the control plane rejected it, whose log then says why. Connect to its address.`;
}

function externalName(service: Service): string {
  return `Service ${service.key} is an ExternalName alias for ${service.externalName ?? ''} and has no endpoints to balance over: connect to that name itself.`;
}

function notRedirected({ address, port }: ListenerDestination): string {
  const at = isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`;
  return `Somebody connected to ${at}, where the sidecar takes connections that the kernel redirects to it and no others: connect to the address of a Service or of a pod.`;
}

function unknownPort(service: Service, { port, protocol }: Pick<ServicePort, 'port' | 'protocol'>): string {
  const ports = service.ports.map((known) => `${known.port}/${known.protocol}`);
  const instead = ports.length === 0 ? 'it has no ports at all' : `it has ${ports.slice(0, 20).join(', ')}`;
  return `Service ${service.key} has no port ${port}/${protocol}: ${instead}.`;
}
