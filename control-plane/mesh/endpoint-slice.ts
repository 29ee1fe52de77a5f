import type { Address, IpFamily } from './address.ts';
import { isUnspecified, parseAddress } from './address.ts';
import { Field, Problems } from './field.ts';
import { checkIdentity, dnsLabel, isDnsLabel, isDnsSubdomain } from './name.ts';
import type { Identity } from './object.ts';
import type { Parsed } from './parsed.ts';
import { parsed, parsedOr } from './parsed.ts';
import type { Protocol } from './protocol.ts';
import { carriedProtocol } from './protocol.ts';

/** One EndpointSlice, as far as it concerns the mesh. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** The Service it belongs to, in the same namespace; undefined: none. */
  readonly service: string | undefined;
  readonly family: IpFamily;
  /** Shared by all endpoints. Their names join them to the Service's ports; the numbers may differ from slice to slice. */
  readonly ports: readonly EndpointPort[];
  /** In an order that follows from what they are. */
  readonly endpoints: readonly Endpoint[];
  /** Set where the object has more than this, which cannot be read: what is missing here proves nothing. */
  readonly incomplete?: true;
}

export interface EndpointPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

export interface Endpoint {
  readonly address: string;
  readonly health: Health;
  readonly hostname: string;
  readonly node: string;
  readonly zone: string;
  /** Whose clients it is meant for (KEP-2433, KEP-3015), sorted; empty: everybody's. */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  /** The pod behind the address, in the slice's namespace; empty: no pod. */
  readonly pod: string;
}

export type Health = 'ready' | 'terminating' | 'not-ready';

/** As the API server has it (discovery.k8s.io/v1 validation); hints may become more than its 8 one day. */
const MOST_ENDPOINTS = 1000;
const MOST_PORTS = 100;
const MOST_ADDRESSES = 100;
const MOST_HINTS = 64;

export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

const WRITTEN_FAMILY: Readonly<Record<IpFamily, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' };

/** Reads a `discovery.k8s.io/v1 EndpointSlice` by the rules of the Kubernetes API. Never throws. */
export function parseEndpointSlice(
  object: unknown,
  identity: Identity<'EndpointSlice'>,
): Parsed<EndpointSlice> {
  const problems = new Problems();
  const warnings = new Problems();
  const root = new Field(object, '', problems);
  checkIdentity(root, identity);
  const family = parseFamily(root.at('addressType'));
  const { namespace, name } = identity;
  const service = parseService(root, warnings);
  const ports = parsePorts(root.at('ports'), warnings);
  const unreadable = new Problems();
  const endpoints =
    family === undefined
      ? []
      : parseEndpoints(root.at('endpoints'), { namespace, family, warnings, unreadable });
  for (const sentence of unreadable.sentences)
    warnings.add(`${sentence}; until then this endpoint is left out`);
  const slice = { namespace, name, service, family: family ?? 'ipv4', ports, endpoints } as const;
  const result = parsed<EndpointSlice>(
    unreadable.isEmpty ? slice : { ...slice, incomplete: true },
    problems,
    warnings,
  );
  const canBeNamed = isDnsLabel(namespace) && isDnsSubdomain(name) && isDnsLabel(service ?? '');
  return canBeNamed ? parsedOr({ ...slice, ports: [], endpoints: [], incomplete: true }, result) : result;
}

/** FQDN is a word of the Kubernetes API that was never given a meaning. */
function parseFamily(field: Field): IpFamily | undefined {
  if (!field.isBlank && field.value !== 'FQDN') return field.choice<IpFamily>({ IPv4: 'ipv4', IPv6: 'ipv6' });
  const remedy = field.value === 'FQDN' ? '; for a DNS name write a Service of type ExternalName' : '';
  field.reject(`use IPv4 or IPv6${remedy}`);
  return undefined;
}

function parseService(root: Field, warnings: Problems): string | undefined {
  const label = root.at('metadata').at('labels').at(SERVICE_NAME_LABEL);
  const name = dnsLabel(label);
  if (name !== '') return name;
  warnings.add(`${label.describe()}: no Service has these endpoints until the label names one`);
  return undefined;
}

function parsePorts(list: Field, warnings: Problems): readonly EndpointPort[] {
  const names = new Set<string>();
  return list.list(MOST_PORTS).flatMap((field) => {
    const name = dnsLabel(field.at('name'));
    if (names.has(name)) field.at('name').reject('two ports have this name: give each its own');
    names.add(name);
    const protocol = carriedProtocol(field.at('protocol'), warnings);
    const number = field.at('port');
    if (!number.isPresent) {
      warnings.add(`${number.describe()}: without a number it leads nowhere; this port is left out`);
      return [];
    }
    const port = number.integer(1, 65_535);
    return protocol === undefined ? [] : [{ name, port, protocol }];
  });
}

interface SliceContext {
  readonly namespace: string;
  readonly family: IpFamily;
  readonly warnings: Problems;
  /** Of endpoints: one that cannot be read is left out, and the others serve. */
  readonly unreadable: Problems;
}

/** In an order of our own, since Kubernetes leaves it open: once, and not each time that the slice is compiled. */
function parseEndpoints(list: Field, context: SliceContext): readonly Endpoint[] {
  const endpoints = list.list(MOST_ENDPOINTS).flatMap((field) => parseEndpoint(field, context) ?? []);
  const texts = new Map<Endpoint, string>();
  const textOf = (endpoint: Endpoint): string => {
    const text = texts.get(endpoint) ?? JSON.stringify(endpoint);
    texts.set(endpoint, text);
    return text;
  };
  // Equal addresses are told apart by all else there is.
  return endpoints.toSorted((a, b) =>
    a.address === b.address ? compare(textOf(a), textOf(b)) : compare(a.address, b.address),
  );
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** Undefined: something is wrong with it. */
function parseEndpoint(place: Field, context: SliceContext): Endpoint | undefined {
  const { namespace, family, warnings, unreadable } = context;
  const problems = new Problems();
  const field = place.withProblems(problems);
  const hints = field.at('hints');
  const endpoint: Endpoint = {
    address: parseEndpointAddress(field.at('addresses'), family, warnings),
    health: parseHealth(field.at('conditions')),
    hostname: dnsLabel(field.at('hostname')),
    node: field.at('nodeName').text(),
    zone: field.at('zone').text(),
    zoneHints: parseHints(hints.at('forZones')),
    nodeHints: parseHints(hints.at('forNodes')),
    pod: parsePod(field.at('targetRef'), namespace),
  };
  for (const sentence of problems.sentences) unreadable.add(sentence);
  return problems.isEmpty ? endpoint : undefined;
}

/** Kubernetes says that the addresses of one endpoint are interchangeable and that clients use the first. */
function parseEndpointAddress(list: Field, family: IpFamily, warnings: Problems): string {
  const [first, ...others] = list.list(MOST_ADDRESSES);
  if (first === undefined) {
    if (list.isEmptyList) list.reject('give the address of the endpoint');
    return '';
  }
  if (others.length > 0) {
    warnings.add(`${list.describe()}: only the first is used; list the others as endpoints of their own`);
  }
  const address = typeof first.value === 'string' ? parseAddress(first.value) : undefined;
  const remedy = addressRemedy(address, family);
  if (remedy !== undefined) first.reject(remedy);
  return address?.text ?? '';
}

function addressRemedy(address: Address | undefined, family: IpFamily): string | undefined {
  if (address === undefined) return `use an ${WRITTEN_FAMILY[family]} address`;
  if (isUnspecified(address)) return 'use the address that clients can connect to';
  if (address.family === family) return undefined;
  return `addressType is ${WRITTEN_FAMILY[family]}: move it to a slice with addressType ${WRITTEN_FAMILY[address.family]}`;
}

/** KEP-1672. Unknown is taken as Kubernetes takes it: ready, serving as ready says, not terminating. */
function parseHealth(conditions: Field): Health {
  const ready = conditions.at('ready').flag(true);
  const serving = conditions.at('serving').flag(ready);
  const terminating = conditions.at('terminating').flag(false);
  if (ready) return 'ready';
  return serving && terminating ? 'terminating' : 'not-ready';
}

function parseHints(list: Field): readonly string[] {
  const names = list.list(MOST_HINTS).map((field) => field.at('name').text());
  return names.filter((name) => name !== '').toSorted();
}

function parsePod(reference: Field, namespace: string): string {
  const isPod = reference.at('kind').text() === 'Pod';
  const podNamespace = reference.at('namespace').text();
  const name = reference.at('name').text();
  return isPod && (podNamespace === '' || podNamespace === namespace) ? name : '';
}
