import { type Answer, type Failure, failed } from './answer.ts';

/** Of what somebody sent, in the text of an error. */
const LONGEST_QUOTE = 80;

/** A line that is no request. */
export interface Mistake {
  readonly ok: false;
  /** What was addressed, as far as that can be told. */
  readonly service: string;
  /** Undefined where that cannot be told. */
  readonly hops: number | undefined;
  readonly answer: Answer;
}

/** Of a line that nothing is known of. */
export function unreadable(outcome: Failure, detail: string): Mistake {
  return { ok: false, service: '', hops: undefined, answer: failed(outcome, detail) };
}

export function badService(value: unknown): string {
  return value === undefined
    ? 'service is missing: name it as "name" or "name.namespace".'
    : `service is ${quoteValue(value)}: name it as "name" or "name.namespace".`;
}

export function badDirection(value: unknown): string {
  return value === undefined
    ? 'direction is missing: a request has "Incoming".'
    : `direction is ${quoteValue(value)}: a request has "Incoming".`;
}

export function badPayload(value: unknown): string {
  return value === undefined
    ? 'payload is missing: give it in base64.'
    : `payload is not base64 (RFC 4648, with padding), and is ${quoteValue(value)}.`;
}

export function badHops(value: unknown): string {
  return `hops is ${quoteValue(value)}: leave it out, sidecars count it.`;
}

/** A value of JSON in words. What holds others is not written out: it may be too deep for that. */
function quoteValue(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object';
  return String(value);
}

export function quote(text: string): string {
  return JSON.stringify(shorten(text));
}

function shorten(text: string): string {
  return text.length <= LONGEST_QUOTE ? text : `${text.slice(0, LONGEST_QUOTE)}…`;
}
