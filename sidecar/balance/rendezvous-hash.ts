import { type Contender, type PickRequest, eligible } from './contender.ts';
import type { Picker } from './picker.ts';

interface HashedContender extends Contender {
  readonly hash: number;
}

/**
 * Consistent hashing by highest random weight (Thaler and Ravishankar 1998): a client always gets the same
 * endpoint while that endpoint is there, and when one leaves only its own clients move. Chosen over a ring
 * because it spreads evenly without virtual nodes and there is nothing to build when endpoints change.
 *
 * A workload reaches its sidecar over the loopback, so most sidecars see one and the same client address. Who
 * the sidecar is goes into the hash: without it all of them together would choose one endpoint.
 */
export class RendezvousHashPicker implements Picker {
  readonly #contenders: readonly HashedContender[];
  readonly #identity: string;

  constructor(contenders: readonly Contender[], identity: string) {
    this.#identity = identity;
    this.#contenders = contenders.map((contender) => ({ ...contender, hash: hash(contender.candidate.id) }));
  }

  pick(request: PickRequest, nowMs: number): Contender | undefined {
    const client = hash(`${this.#identity} ${request.clientAddress}`);
    let highest = -1;
    let chosen: Contender | undefined;
    for (const contender of eligible(this.#contenders, request, nowMs)) {
      const weight = mix(client ^ contender.hash);
      if (weight > highest) {
        highest = weight;
        chosen = contender;
      }
    }
    return chosen;
  }
}

/** FNV-1a over UTF-16 code units, 32 bits, then mixed. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  return mix(state);
}

/** The finaliser of MurmurHash3: every input bit reaches every output bit. Result in [0, 2³²). */
function mix(value: number): number {
  let state = value ^ (value >>> 16);
  state = Math.imul(state, 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
