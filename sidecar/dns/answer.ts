import { isIP } from 'node:net';
import {
  completenessOfEndpoints,
  completenessOfServices,
  isMisleading,
  isPartlyUnreadable,
} from '../services/completeness.ts';
import type { EndpointSlice, IpFamily, Service, ServiceKey } from '../services/service.ts';
import type { Table } from '../services/table.ts';
import { CLASS_IN, FIRST_META_TYPE, LAST_META_TYPE, TYPE } from './protocol.ts';
import type { ResourceRecord } from './record.ts';
import { type Meaning, meaningOf } from './zone.ts';

/** Of answers from the table, in seconds: as short as CoreDNS has it, because a table changes without notice. */
export const TABLE_TTL = 5;

/** The table, and the domain that its names are under. */
export interface Knowledge {
  readonly table: Table;
  /** Labels of the cluster's domain. */
  readonly domain: readonly string[];
}

export interface Question {
  /** Lower case. */
  readonly labels: readonly string[];
  readonly type: number;
  readonly class: number;
}

export type Answer =
  | {
      readonly kind: 'records';
      readonly answers: readonly ResourceRecord[];
      readonly additional: readonly ResourceRecord[];
    }
  /** An ExternalName: the addresses are those of another name. */
  | { readonly kind: 'alias'; readonly target: string }
  /** The name exists, without such a record. */
  | { readonly kind: 'no-data' }
  | { readonly kind: 'no-name' }
  /** Use the Service until it is known, and ask again. */
  | { readonly kind: 'load'; readonly service: ServiceKey }
  /** Others know better. */
  | { readonly kind: 'forward' };

const NO_DATA: Answer = { kind: 'no-data' };
const NO_NAME: Answer = { kind: 'no-name' };
const FORWARD: Answer = { kind: 'forward' };

/** What the table proves to be the answer, which is CoreDNS's; anything else is forwarded. */
export function answer(question: Question, knowledge: Knowledge): Answer {
  if (question.class !== CLASS_IN || isForOthers(question.type)) return FORWARD;
  const meaning = meaningOf(question.labels, knowledge.domain);
  switch (meaning.kind) {
    case 'other':
      return FORWARD;
    case 'nothing':
      return absent(knowledge);
    case 'address':
      return answerReverse(question, meaning.address, knowledge);
    default:
      return answerService(question, meaning, knowledge);
  }
}

/** The zone's own records, and questions for more than one type. */
function isForOthers(type: number): boolean {
  return type === TYPE.NS || type === TYPE.SOA || (type >= FIRST_META_TYPE && type <= LAST_META_TYPE);
}

/** That something does not exist is known only to who knows all that does. */
function absent({ table }: Knowledge): Answer {
  return completenessOfServices(table) === 'all' ? NO_NAME : FORWARD;
}

/** Whether others know better of a Service than the table. */
function isDoubtful(service: ServiceKey, table: Table): boolean {
  return isMisleading(table, service) || isPartlyUnreadable(table, service);
}

function answerReverse({ labels, type }: Question, address: string, knowledge: Knowledge): Answer {
  const { table, domain } = knowledge;
  const key = type === TYPE.PTR ? table.serviceByClusterIp.get(address) : undefined;
  if (key === undefined || isDoubtful(key, table)) return FORWARD;
  const target = nameOf(key, domain);
  const answers = [{ type: 'PTR', name: labels.join('.'), ttl: TABLE_TTL, target }] as const;
  return { kind: 'records', answers, additional: [] };
}

type ServiceMeaning = Extract<Meaning, { key: ServiceKey }>;

function answerService(question: Question, meaning: ServiceMeaning, knowledge: Knowledge): Answer {
  const { table } = knowledge;
  if (isDoubtful(meaning.key, table)) return FORWARD;
  const service = table.services.get(meaning.key)?.service;
  if (service === undefined) return absent(knowledge);
  if (service.type === 'other') return FORWARD;
  if (service.type === 'external-name') return answerAlias(question, meaning, { service, knowledge });
  if (!isProvable(question, meaning)) return FORWARD;
  return service.type === 'headless' || meaning.kind === 'endpoint'
    ? answerEndpoints(question, meaning, { service, knowledge })
    : answerOwn(question, meaning, { service, knowledge });
}

interface Subject {
  readonly service: Service;
  readonly knowledge: Knowledge;
}

function answerAlias({ type }: Question, meaning: ServiceMeaning, { service, knowledge }: Subject): Answer {
  const { externalName } = service;
  const hasTarget = type === TYPE.A || type === TYPE.AAAA || type === TYPE.CNAME;
  if (meaning.kind !== 'service' || externalName === undefined || !hasTarget) return FORWARD;
  // An address is no name: CoreDNS has nothing that it could be an alias of.
  return isIP(externalName) === 0 ? { kind: 'alias', target: externalName.toLowerCase() } : absent(knowledge);
}

/** The table has no ports but those of TCP and UDP: of all ports, and of others, it cannot tell. */
function isProvable({ type }: Question, meaning: ServiceMeaning): boolean {
  if (meaning.kind === 'port') return meaning.protocol === 'tcp' || meaning.protocol === 'udp';
  return type !== TYPE.SRV;
}

/** One address on one port, and the name that it has by itself. */
interface Place {
  readonly family: IpFamily;
  readonly address: string;
  readonly port: number;
  readonly name: string;
}

/** With the addresses of the Service itself. */
function answerOwn(question: Question, meaning: ServiceMeaning, { service, knowledge }: Subject): Answer {
  const ports = portsAskedFor(service.ports, meaning);
  if (ports.length === 0) return absent(knowledge);
  const name = nameOf(service.key, knowledge.domain);
  const places = ports.flatMap(({ port }) =>
    service.clusterIps.map((address) => ({ family: familyOf(address), address, port, name })),
  );
  // From a file: it is there, and has no address of its own.
  return places.length === 0 ? NO_DATA : recordsOf(question, places);
}

function answerEndpoints(
  question: Question,
  meaning: ServiceMeaning,
  { service, knowledge }: Subject,
): Answer {
  const { table, domain } = knowledge;
  const endpoints = table.endpoints.get(meaning.key);
  if (endpoints === undefined) {
    return table.overdue.has(meaning.key) ? FORWARD : { kind: 'load', service: meaning.key };
  }
  const name = nameOf(meaning.key, domain);
  const places = [...endpoints.slices.values()].flatMap(({ slice }) => placesOfSlice(slice, meaning, name));
  const isWhole = completenessOfEndpoints(table, meaning.key) === 'all';
  if (places.length === 0) return isWhole ? absent(knowledge) : FORWARD;
  const found = recordsOf(question, places);
  // A slice has addresses of one family: where there are two, those of the other may not be told yet.
  return found === NO_DATA && !isWhole && service.ipFamilies.length > 1 ? FORWARD : found;
}

function placesOfSlice(slice: EndpointSlice, meaning: ServiceMeaning, service: string): Place[] {
  const ready = slice.endpoints.filter(({ health }) => health === 'ready');
  const named = ready.map(({ address, hostname }) => ({
    address,
    label: hostname === '' ? dashed(address) : hostname,
  }));
  const asked = meaning.kind === 'endpoint' ? named.filter(({ label }) => label === meaning.endpoint) : named;
  const ports = portsAskedFor(slice.ports, meaning);
  return asked.flatMap(({ address, label }) =>
    ports.map(({ port }) => ({ family: slice.family, address, port, name: `${label}.${service}` })),
  );
}

/** A name of no port is there whatever its ports, even where the table has none, as of SCTP: one place each will do. */
function portsAskedFor<Port extends { readonly name: string; readonly protocol: string }>(
  ports: readonly Port[],
  meaning: ServiceMeaning,
): readonly (Port | { readonly port: 0 })[] {
  if (meaning.kind !== 'port') return [{ port: 0 }];
  return ports.filter(({ name, protocol }) => name === meaning.port && protocol === meaning.protocol);
}

function recordsOf({ labels, type }: Question, places: readonly Place[]): Answer {
  const name = labels.join('.');
  if (type === TYPE.SRV) return serviceRecords(name, places);
  if (type !== TYPE.A && type !== TYPE.AAAA) return NO_DATA;
  const family = type === TYPE.A ? 'ipv4' : 'ipv6';
  const asked = places.filter((place) => place.family === family).map((place) => addressRecord(name, place));
  const answers = distinct(asked, ({ address }) => address);
  return answers.length === 0 ? NO_DATA : { kind: 'records', answers, additional: [] };
}

function addressRecord(name: string, { family, address }: Place) {
  return { type: family === 'ipv4' ? 'A' : 'AAAA', name, ttl: TABLE_TTL, address } as const;
}

function serviceRecords(name: string, places: readonly Place[]): Answer {
  // CoreDNS's, down to how it rounds: all places have the same weight, of 100 together, and none has 0.
  const weight = Math.max(1, Math.floor((100 / (100 * places.length)) * 100));
  const all = places.map(
    (place) => ({ type: 'SRV', name, ttl: TABLE_TTL, weight, port: place.port, target: place.name }) as const,
  );
  const answers = distinct(all, ({ target, port }) => `${target} ${port}`);
  const addresses = places.map((place) => addressRecord(place.name, place));
  const additional = distinct(addresses, (record) => `${record.name} ${record.address}`);
  return { kind: 'records', answers, additional };
}

function distinct<Item>(items: readonly Item[], keyOf: (item: Item) => string): readonly Item[] {
  const seen = new Set<string>();
  return items.filter((item) => {
    const key = keyOf(item);
    const isNew = !seen.has(key);
    seen.add(key);
    return isNew;
  });
}

function nameOf(key: ServiceKey, domain: readonly string[]): string {
  const [namespace, name] = key.split('/');
  return `${name}.${namespace}.svc.${domain.join('.')}`;
}

/** What CoreDNS calls an endpoint without a hostname. A label may not end in a dash. */
function dashed(address: string): string {
  const label = address.replaceAll(/[.:]/gu, '-');
  return label.endsWith('-') ? `${label}0` : label;
}

function familyOf(address: string): IpFamily {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
