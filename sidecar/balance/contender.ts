import type { Candidate } from '../services/decision.ts';
import type { EndpointLoad, LoadBook } from './load.ts';

/** What a picker may know about the connection that needs an endpoint. */
export interface PickRequest {
  /** The client's IP address, or empty where it is unknown. Read only by policies that need it. */
  readonly clientAddress: string;
  /** Ids of candidates that this connection has already tried in vain. */
  readonly exclude: ReadonlySet<string>;
}

/** A candidate and its load: what pickers choose among, and whom to tell how the connection fares. */
export interface Contender {
  readonly candidate: Candidate;
  readonly load: EndpointLoad;
}

export function contendersOf(candidates: readonly Candidate[], book: LoadBook): readonly Contender[] {
  return candidates.map((candidate) => ({ candidate, load: book.of(candidate) }));
}

export function isFirstChoice(contender: Contender, request: PickRequest, nowMs: number): boolean {
  return !contender.load.isAvoided(nowMs) && !request.exclude.has(contender.candidate.id);
}

/** Those worth trying first; where there are none, those not yet tried; empty once all are excluded. */
export function eligible<Kind extends Contender>(
  contenders: readonly Kind[],
  request: PickRequest,
  nowMs: number,
): readonly Kind[] {
  const firstChoice = contenders.filter((contender) => isFirstChoice(contender, request, nowMs));
  if (firstChoice.length > 0) return firstChoice;
  return contenders.filter((contender) => !request.exclude.has(contender.candidate.id));
}
