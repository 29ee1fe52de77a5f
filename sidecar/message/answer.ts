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

/** What the answer of one sidecar means to another that gave it a message. */
export type Verdict =
  /** The message is where it should be. */
  | 'taken'
  /** Certainly nobody has it, and the reason lies with that sidecar: another may do better. */
  | 'not-taken'
  /**
   * Another would answer the same, or it may have been delivered: nobody else gets it. It speaks neither for that
   * sidecar nor against it: what a message brings about itself must not make others avoid an endpoint.
   */
  | 'final';

/** A record, so that the compiler misses the one that is left out: it would be counted nowhere. */
const VERDICTS: Readonly<Record<Outcome, Verdict>> = {
  delivered: 'taken',
  received: 'taken',
  'bad-json': 'final',
  'bad-service': 'final',
  'no-direction': 'final',
  'wrong-direction': 'final',
  'bad-payload': 'final',
  'bad-hops': 'final',
  'too-large': 'final',
  'too-slow': 'final',
  // Its table is not ours, or it would not have been asked.
  'unknown-service': 'not-taken',
  'external-name': 'not-taken',
  'no-endpoints': 'not-taken',
  'not-ready': 'not-taken',
  'too-many-hops': 'final',
  overloaded: 'not-taken',
  unreachable: 'not-taken',
  refused: 'final',
  lost: 'final',
  'bad-answer': 'final',
};

export const OUTCOMES = Object.keys(VERDICTS) as readonly Outcome[];

export function isOutcome(value: unknown): value is Outcome {
  return typeof value === 'string' && Object.hasOwn(VERDICTS, value);
}

export function verdictOf({ outcome }: Pick<Answer, 'outcome'>): Verdict {
  return VERDICTS[outcome];
}

/** What the sender of a message is told. */
export interface Answer {
  readonly outcome: Outcome;
  /** In base64: what the destination answered, or `{"error":"Delivery failed: …"}`. */
  readonly payload: string;
  /** For the log: what went wrong, as one sentence; empty where nothing did, or where another sidecar has said it. */
  readonly detail: string;
}

/** For whom nobody else answers. */
const RECEIVED_PAYLOAD = base64Of('{"status":"received"}');

export const RECEIVED: Answer = { outcome: 'received', payload: RECEIVED_PAYLOAD, detail: '' };

/** @param payload in base64; empty: the destination had nothing to say, which is told as `{"status":"received"}` */
export function delivered(payload: string): Answer {
  return { outcome: 'delivered', payload: payload === '' ? RECEIVED_PAYLOAD : payload, detail: '' };
}

/**
 * @param detail a sentence that says what is wrong, and what to do where that is not plain
 * @param logged the same for this sidecar's log, with what is not the sender's to know
 */
export function failed(outcome: Failure, detail: string, logged: string = detail): Answer {
  const payload = base64Of(JSON.stringify({ error: `Delivery failed: ${detail}` }));
  return { outcome, payload, detail: logged };
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
