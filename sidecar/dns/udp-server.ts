import type { Datagrams, DatagramReceiver, DatagramSocket } from '../datagram/socket.ts';
import type { Asker } from './asker.ts';
import type { Count, DnsCounters } from './counters.ts';
import { type Kind, QueryReader } from './query.ts';
import type { Resolver } from './resolver.ts';

/** Longer ones would come in pieces, or not at all, where the asker is not on this machine. */
const LONGEST_DATAGRAM = 4_096;

/** Answers what comes as datagrams. */
export class UdpServer implements DatagramReceiver {
  readonly #resolver: Resolver;
  readonly #counters: DnsCounters;
  readonly #query: QueryReader;

  constructor(resolver: Resolver, counters: DnsCounters, seed: number) {
    this.#resolver = resolver;
    this.#counters = counters;
    this.#query = new QueryReader(seed);
  }

  received(datagrams: Datagrams, socket: DatagramSocket): void {
    const sinceMs = performance.now();
    const { count, data } = datagrams;
    let answered = 0;
    for (let index = 0; index < count; index++) {
      const kind = this.#query.read(data, datagrams.start(index), datagrams.end(index));
      if (kind === 'ignored') this.#counters.ignored++;
      else if (this.#replyNow(kind, index, socket)) answered++;
      else this.#resolver.later(this.#asker(kind, sinceMs, { datagrams, index, socket }));
    }
    if (answered > 0) this.#counters.times.observe((performance.now() - sinceMs) / 1000, answered);
  }

  /** An ICMP message: an asker is no longer there. */
  failed(): void {
    this.#counters.ignored++;
  }

  #replyNow(kind: Kind, index: number, socket: DatagramSocket): boolean {
    const query = this.#query;
    const now = this.#resolver.now(query, kind, limitOf(query));
    if (now === undefined) return false;
    now.count.value++;
    socket.reply(index, now.bytes);
    return true;
  }

  #asker(kind: Kind, sinceMs: number, { datagrams, index, socket }: Received): Asker {
    const { query } = this.#query.copy();
    const peer = datagrams.peer(index);
    return {
      query,
      isQuestion: kind === 'question',
      source: datagrams.peerKey(index),
      transport: 'udp',
      limit: limitOf(query),
      aliases: 0,
      isWaiting: true,
      reply: (answer: Uint8Array, count: Count) => {
        count.value++;
        this.#counters.times.observe((performance.now() - sinceMs) / 1000, 1);
        socket.send(answer, peer);
      },
    };
  }
}

interface Received {
  readonly datagrams: Datagrams;
  readonly index: number;
  readonly socket: DatagramSocket;
}

/** How long an answer may be: as long as the asker takes, within reason. */
function limitOf({ limit }: QueryReader): number {
  return Math.min(limit, LONGEST_DATAGRAM);
}
