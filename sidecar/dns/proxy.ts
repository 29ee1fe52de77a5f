import { randomFillSync, randomInt } from 'node:crypto';
import { Udp } from '../datagram/udp.ts';
import type { DatagramSocket } from '../datagram/socket.ts';
import { formatAddress, type SocketAddress } from '../net/socket-address.ts';
import type { Directory } from '../services/directory.ts';
import { bindError } from '../../process/listen.ts';
import type { Logger } from '../../process/log.ts';
import { DnsCounters } from './counters.ts';
import { Resolver } from './resolver.ts';
import { TableAnswers } from './table-answers.ts';
import { type TcpLimits, TcpServer } from './tcp-server.ts';
import { UdpServer } from './udp-server.ts';
import { AnswerCache } from './upstream/cache.ts';
import { Forwarder } from './upstream/forwarder.ts';
import { Server, Servers } from './upstream/servers.ts';
import { ServerSockets } from './upstream/sockets.ts';
import type { StreamTimes } from './upstream/times.ts';
import { AnswerWriter } from './writer.ts';

export interface DnsProxyOptions {
  readonly directory: Pick<Directory, 'table' | 'use'>;
  /** Whom to ask what the table does not know, the first one first. */
  readonly servers: readonly SocketAddress[];
  /** `cluster.local` */
  readonly clusterDomain: string;
  readonly cacheBytes: number;
  /** Of connections to the proxy. */
  readonly tcpLimits?: Partial<TcpLimits>;
  readonly streamTimes?: Partial<StreamTimes>;
  readonly log?: Logger;
}

/** What a machine without IPv6 answers to whoever wants to listen there. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

/** The DNS proxy of one sidecar. */
export class DnsProxy {
  readonly counters = new DnsCounters();
  readonly cache: AnswerCache;
  readonly forwarder: Forwarder;
  readonly tcp: TcpServer;
  readonly #udp = new Udp();
  readonly #udpServer: UdpServer;
  readonly #sockets: DatagramSocket[] = [];
  readonly #clusterDomain: string;
  readonly #servers: readonly Server[];

  constructor(options: DnsProxyOptions) {
    const { directory, servers, clusterDomain, cacheBytes, tcpLimits, streamTimes, log } = options;
    const { counters } = this;
    const seed = randomInt(2 ** 31);
    const domain = clusterDomain.toLowerCase().replace(/\.$/u, '').split('.');
    const writer = new AnswerWriter();
    const source = {
      get knowledge() {
        return { table: directory.table, domain };
      },
      get table() {
        return directory.table;
      },
    };
    this.#clusterDomain = domain.join('.');
    this.#servers = servers.map((address) => this.#server(address));
    this.cache = new AnswerCache(cacheBytes, counters, () => performance.now());
    this.forwarder = new Forwarder({
      servers: new Servers(this.#servers),
      cache: this.cache,
      counters,
      now: () => performance.now(),
      streamTimes,
    });
    const table = new TableAnswers({ source, writer, counters, now: Date.now });
    const use = (service: string) => directory.use(service);
    const resolver = new Resolver({ table, forwarder: this.forwarder, writer, counters, use, seed });
    this.#udpServer = new UdpServer(resolver, counters, seed);
    this.tcp = new TcpServer({ resolver, counters, seed, limits: tcpLimits, log });
  }

  /** By UDP and TCP, and returns where; undefined where it is an IPv6 address and there is no IPv6. */
  async listen({ address, port }: SocketAddress): Promise<SocketAddress | undefined> {
    const opened = this.#udp.bind({ address, port, ipv6Only: true }, this.#udpServer);
    if (!opened.ok) {
      if (address.includes(':') && NO_IPV6.has(opened.code)) return undefined;
      throw bindError(
        'the DNS proxy (UDP)',
        address,
        port,
        Object.assign(new Error(opened.code), { code: opened.code }),
      );
    }
    this.#sockets.push(opened.socket);
    const bound = opened.socket.address;
    await this.tcp.listen(bound.address, bound.port);
    return bound;
  }

  /** How it stands, for people. */
  view() {
    const { cache, forwarder, tcp, counters } = this;
    return {
      clusterDomain: this.#clusterDomain,
      upstreams: this.#servers.map(({ address, isDown }) => ({ address: formatAddress(address), isDown })),
      kept: { answers: cache.size, bytes: cache.bytes },
      waiting: forwarder.flightCount,
      connections: tcp.connectionCount,
      refused: counters.refused,
    };
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    this.tcp.close();
    this.forwarder.close();
  }

  #server(address: SocketAddress): Server {
    const mismatched = () => {
      this.counters.mismatched++;
    };
    return new Server(address, new ServerSockets(this.#udp, address, { random: random16, mismatched }));
  }
}

const RANDOM = new Uint16Array(4096);
let used = RANDOM.length;

/** Asked of the kernel many at a time. */
function random16(): number {
  if (used === RANDOM.length) {
    randomFillSync(RANDOM);
    used = 0;
  }
  return RANDOM[used++] ?? 0;
}
