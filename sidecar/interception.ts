import { networkInterfaces } from 'node:os';
import { hostPort, StartupError } from '../process/listen.ts';
import type { Interception } from './config.ts';
import type { Forwarder } from './forward/forwarder.ts';
import { portsForWorkload } from './net/local-ports.ts';
import type { Origin, TrafficDirection } from './forward/origin.ts';
import { type ListenerPort, OriginalDestinations } from './net/original-dst.ts';
import type { SocketAddress } from './net/socket-address.ts';
import type { TcpStream } from './net/tcp.ts';
import type { Destination } from './services/decision.ts';

/** The wildcard of each family, apart, so that no address is an IPv4-mapped one. */
const WILDCARDS = { ipv4: '0.0.0.0', ipv6: '::' } as const;

/** What a machine without IPv6 answers to whoever wants to listen there. */
const NO_IPV6 = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EPROTONOSUPPORT']);

const OUTBOUND: Origin = { direction: 'outbound', isIntercepted: true, outlivesDrain: true };
const INBOUND: Origin = { direction: 'inbound', isIntercepted: true, outlivesDrain: false };

/** Takes the connections that somebody makes to the outbound port itself. */
export interface DirectTaker {
  take(client: TcpStream): void;
  /** Called for each address that they can be made to. */
  takesAt(address: string): void;
}

/**
 * Takes the connections that the kernel redirects here, and returns what listens where. Throws a StartupError
 * for what would keep it from working.
 */
export async function listenForInterception(
  forwarder: Forwarder,
  interception: Interception,
  direct: DirectTaker,
): Promise<string[]> {
  // Its own connections would be redirected to itself, and those again.
  const uid = process.getuid?.();
  if (uid !== interception.proxyUid) {
    throw new StartupError(
      `The sidecar runs as user ${uid}, and interception spares the connections of user ` +
        `${interception.proxyUid}: run it as that user, or set interception.proxyUid to ${uid} for proxy-init as well.`,
    );
  }
  const taker = new Taker(interception);
  const origins = { outbound: OUTBOUND, inbound: { ...INBOUND, localPortsFor: await portsForWorkload() } };
  return (['outbound', 'inbound'] as const).flatMap((direction) =>
    (['ipv4', 'ipv6'] as const).flatMap((family) => {
      const own = { family, port: interception[direction].port };
      const result = forwarder.listen({
        name: `Interception (${direction})`,
        address: { address: WILDCARDS[family], port: own.port, ipv6Only: family === 'ipv6' },
        origin: origins[direction],
        ...(direction === 'outbound' ? { takeDirect: (client) => direct.take(client) } : {}),
        destinationOf: (client) => taker.destinationOf(client, direction, own),
      });
      if (result.ok) {
        const address = hostPort(result.address.address, result.address.port);
        if (direction === 'outbound') direct.takesAt(address);
        return [`${direction} ${address}`];
      }
      if (family === 'ipv6' && NO_IPV6.has(result.code)) return [];
      throw new StartupError(result.message);
    }),
  );
}

/** Tells where redirected connections want to go. */
class Taker {
  readonly #originals = new OriginalDestinations();
  readonly #ports: ReadonlySet<number>;

  constructor({ outbound, inbound }: Interception) {
    this.#ports = new Set([outbound.port, inbound.port]);
  }

  destinationOf(client: TcpStream, direction: TrafficDirection, own: ListenerPort): Destination {
    const original = this.#originals.of(client, own);
    if (original === 'direct') return { kind: 'listener', address: WILDCARDS[own.family], port: own.port };
    const { address, port } = original;
    if (this.#isOurs(original)) return { kind: 'listener', address, port };
    return direction === 'outbound'
      ? { kind: 'address', address, port, protocol: 'tcp' }
      : { kind: 'workload', address, port };
  }

  /** Whether it would come back here: no rule of ours redirects such a connection, but others make rules, too. */
  #isOurs({ address, port }: SocketAddress): boolean {
    if (!this.#ports.has(port)) return false;
    return Object.values(networkInterfaces()).some((infos) =>
      infos?.some((info) => info.address === address),
    );
  }
}
