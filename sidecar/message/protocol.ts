import { isIP } from 'node:net';
import { type Answer, type Failure, failed, isOutcome } from './answer.ts';
import { badDirection, badHops, badPayload, badService, type Mistake, quote, unreadable } from './mistake.ts';

/**
 * The lines of the message API: JSON objects in UTF-8, one a line (as https://jsonlines.org). A request is
 * `{"service":"name[.namespace]","direction":"Incoming","payload":"<base64>"}` and its reply
 * `{"payload":"<base64>","service":"name.namespace","direction":"Outcoming"}`. Sidecars add `hops` and `from` to the
 * requests that they forward, and `outcome` to the replies that they give one another, or may do: to a line that could
 * not be read. Other fields mean nothing.
 */

/** Bytes of one line without its end. */
export const LONGEST_LINE = 1024 * 1024;
export const TOO_LARGE = `the line is longer than ${LONGEST_LINE} bytes.`;
/** What a sidecar adds to a line that it forwards, at most. */
const ADDED_BYTES = 256;
/** What is read: a line that one sidecar took is not too long for the next. A sender has `LONGEST_LINE`. */
export const LONGEST_READ = LONGEST_LINE + ADDED_BYTES;
/** Bytes of an answer that fit into a line as base64, with what is around them. */
export const LONGEST_ANSWER = Math.floor((LONGEST_LINE - 1024) / 4) * 3;
/** Times that one message may be forwarded. */
export const MOST_HOPS = 4;

const DEFAULT_NAMESPACE = 'cortexflow';
/** DNS labels (RFC 1123). */
const NAME =
  /^(?<name>[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)(?:\.(?<namespace>[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?))?$/u;
/** Of an IPv6 address that ends as IPv4 does, with the name of an interface (`IFNAMSIZ`): to `isIP` a zone has no end. */
const LONGEST_ADDRESS = 45 + 1 + 15;
/** A line of 1 MiB that is nothing but values would take a quarter of a second to parse, during which all else waits. */
const MOST_VALUES = 10_000;
const HTTP = /^(?:[^\s{]\S* .* HTTP\/\d|host:)/iu;

/** A message on its way. */
export interface Message {
  /** `namespace/name`. */
  readonly service: string;
  /** In base64, found sound. */
  readonly payload: string;
  /** How often it has been forwarded. */
  readonly hops: number;
  /** The IP address of whoever sent it first, as the sidecar it was sent to says; undefined on the first hop. */
  readonly from: string | undefined;
}

export type Parsed = { readonly ok: true; readonly message: Message } | Mistake;

type Fields = Readonly<Record<string, unknown>>;

export function parseRequest(line: string): Parsed {
  const fields = parseObject(line);
  if (fields === undefined) return unreadable('bad-json', notAnObject(line));
  const parsed = parseFields(fields);
  if (!parsed.ok || parsed.message.hops > 0 || Buffer.byteLength(line) <= LONGEST_LINE) return parsed;
  return { ok: false, service: parsed.message.service, hops: 0, answer: failed('too-large', TOO_LARGE) };
}

function parseFields(fields: Fields): Parsed {
  const service = serviceOf(fields['service']);
  const { direction, payload, hops = 0, from } = fields;
  const wrong = (outcome: Failure, what: string): Mistake => ({
    ok: false,
    service: service ?? '',
    hops: isHops(hops) ? hops : 0,
    answer: failed(outcome, what),
  });
  if (service === undefined) return wrong('bad-service', badService(fields['service']));
  if (direction !== 'Incoming') {
    return wrong(direction === undefined ? 'no-direction' : 'wrong-direction', badDirection(direction));
  }
  if (!isBase64(payload)) return wrong('bad-payload', badPayload(payload));
  if (!isHops(hops)) return wrong('bad-hops', badHops(hops));
  return { ok: true, message: { service, payload, hops, from: hops > 0 ? addressOf(from) : undefined } };
}

/** Whether it is of a request in HTTP: what begins one, or, where that was too long for a line, what each has. */
export function isHttp(line: string): boolean {
  return HTTP.test(line);
}

/** The line that is passed on to another sidecar. */
export function forwardedLine({ service, payload, hops }: Message, from: string): string {
  return `${JSON.stringify({ service: dotted(service), direction: 'Incoming', payload, hops: hops + 1, from })}\n`;
}

/** @param isPeer whether it may be a sidecar that asked, which is to learn what the payload is */
export function replyLine(service: string, { payload, outcome }: Answer, isPeer: boolean): string {
  const reply = { payload, service: dotted(service), direction: 'Outcoming' };
  return `${JSON.stringify(isPeer ? { ...reply, outcome } : reply)}\n`;
}

/** What another sidecar answered; undefined where that is no reply. */
export function parseReply(line: string): Answer | undefined {
  const fields = parseObject(line);
  if (fields?.['direction'] !== 'Outcoming') return undefined;
  const { payload, service } = fields;
  // Of sidecars that leave it out where they have read no line: most of them have no room for one more connection.
  const outcome = fields['outcome'] ?? (service === '' ? 'overloaded' : undefined);
  return isBase64(payload) && isOutcome(outcome) ? { outcome, payload, detail: '' } : undefined;
}

/** `name.namespace` of `namespace/name`; what is neither stays. */
export function dotted(service: string): string {
  const [namespace, name] = service.split('/');
  return name === undefined ? service : `${name}.${namespace}`;
}

function parseObject(line: string): Fields | undefined {
  if (!isSimple(line)) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Fields)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether it can be parsed in no time, as whatever has not very many values can. */
function isSimple(line: string): boolean {
  let count = 0;
  for (const sign of [',', '[', '{']) {
    for (let at = line.indexOf(sign); at !== -1; at = line.indexOf(sign, at + 1)) {
      if (++count > MOST_VALUES) return false;
    }
  }
  return true;
}

function serviceOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const { name, namespace = DEFAULT_NAMESPACE } = NAME.exec(value)?.groups ?? {};
  return name === undefined ? undefined : `${namespace}/${name}`;
}

/** RFC 4648, section 4, with its padding and nothing else: what is decoded gives the same text again. */
function isBase64(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length % 4 === 0 &&
    Buffer.from(value, 'base64').toString('base64') === value
  );
}

function isHops(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MOST_HOPS;
}

function addressOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= LONGEST_ADDRESS && isIP(value) !== 0
    ? value
    : undefined;
}

function notAnObject(line: string): string {
  return isSimple(line)
    ? `the line is not a JSON object, and is ${quote(line)}.`
    : `the line has more than ${MOST_VALUES} values: a request has three.`;
}
