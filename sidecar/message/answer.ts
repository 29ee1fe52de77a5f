/** Why a message was not delivered, or not for certain. */
export type Failure =
  /** What the line itself is not. */
  | 'bad-json'
  | 'bad-service'
  | 'no-direction'
  | 'wrong-direction'
  | 'bad-payload'
  | 'bad-hops'
  | 'too-large'
  | 'too-slow'
  /** What the mesh does not have. */
  | 'unknown-service'
  | 'external-name'
  | 'no-endpoints'
  | 'not-ready'
  /** What came of it on the way. */
  | 'too-many-hops'
  | 'overloaded'
  | 'unreachable'
  | 'refused'
  /** It may have been delivered. */
  | 'lost'
  /** It was delivered, and the answer cannot be passed on. */
  | 'bad-answer';

/** `delivered`: whoever took it answered. `received`: nobody is declared to take it, and it was logged. */
export type Outcome = 'delivered' | 'received' | Failure;

/** A record, so that the compiler misses the one that is left out: it would be counted nowhere. */
const EVERY_OUTCOME: Readonly<Record<Outcome, true>> = {
  delivered: true,
  received: true,
  'bad-json': true,
  'bad-service': true,
  'no-direction': true,
  'wrong-direction': true,
  'bad-payload': true,
  'bad-hops': true,
  'too-large': true,
  'too-slow': true,
  'unknown-service': true,
  'external-name': true,
  'no-endpoints': true,
  'not-ready': true,
  'too-many-hops': true,
  overloaded: true,
  unreachable: true,
  refused: true,
  lost: true,
  'bad-answer': true,
};

export const OUTCOMES = Object.keys(EVERY_OUTCOME) as readonly Outcome[];

export function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'string' && Object.hasOwn(EVERY_OUTCOME, value);
}

/** What the sender of a message is told. */
export interface Answer {
  readonly outcome: Outcome;
  /** In base64: what the destination answered, or `{"error":"Delivery failed: …"}`. */
  readonly payload: string;
  /** What went wrong, as one sentence; empty where nothing did, or where another sidecar has said it. */
  readonly detail: string;
}

/** For whom nobody else answers. */
const RECEIVED_PAYLOAD = base64Of('{"status":"received"}');

export const RECEIVED: Answer = { outcome: 'received', payload: RECEIVED_PAYLOAD, detail: '' };

/** @param payload in base64; empty: the destination had nothing to say, which is told as `{"status":"received"}` */
export function delivered(payload: string): Answer {
  return { outcome: 'delivered', payload: payload === '' ? RECEIVED_PAYLOAD : payload, detail: '' };
}

/** @param detail a sentence that says what is wrong, and what to do where that is not plain */
export function failed(outcome: Failure, detail: string): Answer {
  return { outcome, payload: base64Of(JSON.stringify({ error: `Delivery failed: ${detail}` })), detail };
}

/** For an answer that there is no room for: what became of the message stays true. */
export function withoutAnswer({ outcome }: Answer): Answer {
  const noRoom = 'this sidecar holds as much as it may of all connections, and left out the answer.';
  return outcome === 'delivered' || outcome === 'received'
    ? failed('bad-answer', `the message was delivered; ${noRoom}`)
    : failed(outcome, noRoom);
}

function base64Of(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
