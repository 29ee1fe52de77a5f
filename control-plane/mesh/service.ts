import type { Address, IpFamily } from './address.ts';
import { parseAddress } from './address.ts';
import { Field, Problems, shown } from './field.ts';
import { checkIdentity, dnsLabel, isDnsLabel, isDnsSubdomain } from './name.ts';
import { hasOtherProxy, type Identity } from './object.ts';
import type { Parsed } from './parsed.ts';
import { parsed, parsedOr } from './parsed.ts';
import type { Protocol } from './protocol.ts';
import { carriedProtocol } from './protocol.ts';

/** A Kubernetes Service, as far as it concerns the mesh. */
export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly type: ServiceType;
  /** Virtual addresses, the primary family's first. A Service from a file may have none. */
  readonly clusterIps: readonly string[];
  /** The primary one first. */
  readonly ipFamilies: readonly IpFamily[];
  /** Empty unless the type is `external-name`. */
  readonly externalName: string;
  readonly ports: readonly ServicePort[];
  /** Undefined: no session affinity. */
  readonly affinityTimeoutSeconds: number | undefined;
  readonly trafficDistribution: TrafficDistribution;
  readonly internalTrafficPolicy: InternalTrafficPolicy;
}

/** `other`: another proxy's, or one that cannot be read. No more is known of it than that it exists. */
export type ServiceType = 'cluster-ip' | 'headless' | 'external-name' | 'other';
export type TrafficDistribution = 'cluster-wide' | 'prefer-same-zone' | 'prefer-same-node';
export type InternalTrafficPolicy = 'cluster' | 'local';

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly appProtocol: string;
}

/** Every sidecar is told of every port. Kubernetes itself sets no limit but an object's size. */
const MOST_PORTS = 1000;
const DEFAULT_AFFINITY_SECONDS = 10_800;
const LONGEST_AFFINITY_SECONDS = 86_400;

const IP_FAMILIES = { IPv4: 'ipv4', IPv6: 'ipv6' } as const;
const SERVICE_TYPES = {
  ClusterIP: 'cluster-ip',
  NodePort: 'cluster-ip',
  LoadBalancer: 'cluster-ip',
  ExternalName: 'external-name',
} as const;

/** KEP-4444 and KEP-3015; PreferClose is the older word for PreferSameZone. */
const TRAFFIC_DISTRIBUTIONS: Readonly<Record<string, TrafficDistribution>> = {
  PreferClose: 'prefer-same-zone',
  PreferSameZone: 'prefer-same-zone',
  PreferSameNode: 'prefer-same-node',
};

/** Reads a `v1 Service` by the rules of the Kubernetes API. Never throws. */
export function parseService(object: unknown, identity: Identity<'Service'>): Parsed<Service> {
  const problems = new Problems();
  const warnings = new Problems();
  const root = new Field(object, '', problems);
  checkIdentity(root, identity);
  if (hasOtherProxy(object)) return parsed(otherService(identity), problems, warnings);
  const spec = root.at('spec');
  if (!spec.isPresent) spec.reject('describe the Service here');
  const addressing = parseAddressing(spec);
  const service: Service = {
    namespace: identity.namespace,
    name: identity.name,
    ...addressing,
    ports: parsePorts(spec.at('ports'), addressing.type, warnings),
    affinityTimeoutSeconds: parseAffinity(spec),
    trafficDistribution: parseTrafficDistribution(spec.at('trafficDistribution'), warnings),
    internalTrafficPolicy: spec
      .at('internalTrafficPolicy')
      .choice<InternalTrafficPolicy>({ Cluster: 'cluster', Local: 'local' }),
  };
  const result = parsed(service, problems, warnings);
  const canBeNamed = isDnsLabel(identity.namespace) && isDnsLabel(identity.name);
  return canBeNamed ? parsedOr(otherService(identity), result) : result;
}

/** Of which others know more. */
export function otherService({ namespace, name }: Identity<'Service'>): Service {
  return {
    namespace,
    name,
    type: 'other',
    clusterIps: [],
    ipFamilies: [],
    externalName: '',
    ports: [],
    affinityTimeoutSeconds: undefined,
    trafficDistribution: 'cluster-wide',
    internalTrafficPolicy: 'cluster',
  };
}

type Addressing = Pick<Service, 'type' | 'clusterIps' | 'ipFamilies' | 'externalName'>;

function parseAddressing(spec: Field): Addressing {
  const type = spec.at('type').choice<ServiceType>(SERVICE_TYPES);
  if (type === 'external-name') {
    return { type, clusterIps: [], ipFamilies: [], externalName: parseExternalName(spec) };
  }
  const given = clusterIpFields(spec);
  if (given[0]?.value === 'None') {
    requireHeadlessIsAllowed(spec, given);
    return { type: 'headless', clusterIps: [], ipFamilies: parseFamilies(spec, []), externalName: '' };
  }
  const addresses = given.map(parseClusterIp).filter((address) => address !== undefined);
  requireOneOfEachFamily(spec.at('clusterIPs'), addresses);
  return {
    type,
    clusterIps: addresses.map(({ text }) => text),
    ipFamilies: parseFamilies(spec, addresses),
    externalName: '',
  };
}

/** A trailing dot makes a DNS name absolute, which this one always is. */
function parseExternalName(spec: Field): string {
  const field = spec.at('externalName');
  const name = typeof field.value === 'string' ? field.value.replace(/\.$/, '') : '';
  if (!isDnsSubdomain(name))
    field.reject('name the DNS name that the Service stands for, e.g. db.example.com');
  return name;
}

/** `clusterIPs` has all of them and `clusterIP` repeats the first; either may be left out. */
function clusterIpFields(spec: Field): readonly Field[] {
  const [single, list] = [spec.at('clusterIP'), spec.at('clusterIPs').list()];
  const isGiven = !single.isBlank;
  if (list.length === 0) return isGiven ? [single] : [];
  if (isGiven && single.value !== list[0]?.value) {
    single.reject('repeat the first of spec.clusterIPs, or leave it out');
  }
  return list;
}

function requireHeadlessIsAllowed(spec: Field, given: readonly Field[]): void {
  const type = spec.at('type');
  if (type.isPresent && type.value !== 'ClusterIP') {
    type.reject('a Service with clusterIP None must be of type ClusterIP');
  }
  given[1]?.reject('leave it out: None is the only entry of a headless Service');
}

function parseClusterIp(field: Field): Address | undefined {
  const address = typeof field.value === 'string' ? parseAddress(field.value) : undefined;
  if (address === undefined) field.reject('use an IP address, None for a headless Service, or leave it out');
  return address;
}

function requireOneOfEachFamily(list: Field, addresses: readonly Address[]): void {
  const families = new Set(addresses.map(({ family }) => family));
  if (families.size < addresses.length) list.reject('give at most one IPv4 and one IPv6 address');
}

/**
 * What is written wins, then what the addresses are. The API server always writes one or the other; where
 * nobody has, the Service speaks whatever its endpoints speak.
 */
function parseFamilies(spec: Field, addresses: readonly Address[]): readonly IpFamily[] {
  const written = spec.at('ipFamilies').list();
  const families = written.map((field) => field.choice<IpFamily>(IP_FAMILIES));
  if (new Set(families).size < families.length) spec.at('ipFamilies').reject('name each family once');
  addresses.forEach(({ family }, index) => {
    const field = written[index];
    if (field !== undefined && families[index] !== family) {
      field.reject('name the families in the order of spec.clusterIPs');
    }
  });
  if (families.length > 0) return families;
  return addresses.length > 0 ? addresses.map(({ family }) => family) : ['ipv4', 'ipv6'];
}

function parsePorts(list: Field, type: ServiceType, warnings: Problems): readonly ServicePort[] {
  const fields = list.list(MOST_PORTS);
  if (list.isEmptyList && type === 'cluster-ip') list.reject('list at least one port');
  const names = new Set<string>();
  const numbers = new Set<string>();
  return fields.flatMap((field) => {
    const name = dnsLabel(field.at('name'));
    if (name === '' && fields.length > 1) {
      field.at('name').reject('name every port where a Service has several');
    } else if (names.has(name)) field.at('name').reject('two ports have this name: give each its own');
    names.add(name);
    const [portField, protocolField] = [field.at('port'), field.at('protocol')];
    const port = portField.integer(1, 65_535);
    const protocol = carriedProtocol(protocolField, warnings);
    const number = `${shown(portField.value)}/${shown(protocolField.value ?? 'TCP')}`;
    if (numbers.has(number)) portField.reject('two ports have this number and protocol: remove one');
    numbers.add(number);
    const appProtocol = field.at('appProtocol').text();
    return protocol === undefined ? [] : [{ name, port, protocol, appProtocol }];
  });
}

function parseAffinity(spec: Field): number | undefined {
  const isByClient = spec.at('sessionAffinity').choice({ None: false, ClientIP: true });
  if (!isByClient) return undefined;
  const timeout = spec.at('sessionAffinityConfig').at('clientIP').at('timeoutSeconds');
  return timeout.isPresent ? timeout.integer(1, LONGEST_AFFINITY_SECONDS) : DEFAULT_AFFINITY_SECONDS;
}

/** A preference only: a word from a newer Kubernetes costs the preference, not the Service. */
function parseTrafficDistribution(field: Field, warnings: Problems): TrafficDistribution {
  const word = field.text();
  if (word === '') return 'cluster-wide';
  const distribution = Object.hasOwn(TRAFFIC_DISTRIBUTIONS, word) ? TRAFFIC_DISTRIBUTIONS[word] : undefined;
  if (distribution === undefined) {
    warnings.add(
      `${field.describe()}: use PreferSameZone or PreferSameNode; traffic is spread over all zones`,
    );
  }
  return distribution ?? 'cluster-wide';
}
