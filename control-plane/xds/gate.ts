import { status } from '@grpc/grpc-js';
import { Admission, PeerAdmission } from './admission.ts';
import { hostOf } from './caller.ts';
import type { Counters } from './counters.ts';
import type { Limits } from './limits.ts';
import { PeerStreams } from './peer-streams.ts';
import {
  TOO_MANY_NEW_STREAMS,
  TOO_MANY_NEW_STREAMS_OF_PEER,
  TOO_MANY_OF_PEER,
  TOO_MANY_STREAMS,
} from './stream-end.ts';
import type { Refusal } from './stream-end.ts';

/** Decides which new streams are let in, by their number and by how many came lately. */
export class Gate {
  readonly #limits: Limits;
  readonly #counters: Counters;
  readonly #common: Admission;
  readonly #peers: PeerAdmission;
  readonly #open: PeerStreams;

  constructor(limits: Limits, counters: Counters, nowMs: number) {
    this.#limits = limits;
    this.#counters = counters;
    const { newStreamsPerSecond, newStreamsBurst } = limits;
    const { newStreamsPerSecondPerCaller, newStreamsBurstPerCaller } = limits;
    this.#common = new Admission({ perSecond: newStreamsPerSecond, burst: newStreamsBurst }, nowMs);
    this.#peers = new PeerAdmission({
      perSecond: newStreamsPerSecondPerCaller,
      burst: newStreamsBurstPerCaller,
    });
    this.#open = new PeerStreams(limits.streamsPerCaller);
  }

  /** Before a caller is identified; its own tokens are taken first, so that they are all that it can use up. */
  admit(peer: string, nowMs: number): Refusal | undefined {
    const host = hostOf(peer);
    if (this.#counters.streams >= this.#limits.streams)
      return this.#refused('streamsRefused', TOO_MANY_STREAMS);
    if (!this.#peers.admit(host, nowMs)) {
      return this.#refused('callerAdmissionsRefused', TOO_MANY_NEW_STREAMS_OF_PEER);
    }
    return this.#common.admit(nowMs) ? undefined : this.#refused('admissionsRefused', TOO_MANY_NEW_STREAMS);
  }

  opened(account: string): Refusal | undefined {
    if (this.#open.opened(account)) return undefined;
    this.#counters.callerStreamsRefused += 1;
    return { code: status.RESOURCE_EXHAUSTED, details: TOO_MANY_OF_PEER };
  }

  closed(account: string): void {
    this.#open.closed(account);
  }

  #refused(
    counter: 'streamsRefused' | 'callerAdmissionsRefused' | 'admissionsRefused',
    details: string,
  ): Refusal {
    this.#counters[counter] += 1;
    return { code: status.UNAVAILABLE, details };
  }
}
