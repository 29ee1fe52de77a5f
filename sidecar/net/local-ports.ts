import { readFileSync } from 'node:fs';
import { connect, createServer, isIPv6, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { LocalPorts, SocketAddress } from './socket-address.ts';

const LOOPBACK = { ipv4: '127.0.0.1', ipv6: '::1' } as const;

/** What Linux uses unless it is told otherwise. */
const USUAL_RANGE = { first: 32_768, last: 60_999 };

/** On loopback a connection takes microseconds. */
const TIMEOUT_MS = 2_000;

/** Ports of one local address, one after another, so that each rests for as long as possible. */
export class PortsOf implements LocalPorts {
  readonly #address: string;
  readonly #first: number;
  readonly #count: number;
  #next: number;

  /** `random` is in [0, 1). */
  constructor(address: string, { first, last }: { first: number; last: number }, random: number) {
    this.#address = address;
    this.#first = first;
    this.#count = last - first + 1;
    this.#next = Math.floor(random * this.#count);
  }

  next(): SocketAddress {
    this.#next = (this.#next + 1) % this.#count;
    return { address: this.#address, port: this.#first + this.#next };
  }
}

/**
 * From where connections to the workload's own addresses are made: from loopback, where the rules of proxy-init
 * give them the workload's address, so that it sees no stranger on loopback. Whoever ends a connection first keeps
 * its ports for a minute, and that is the sidecar whenever its client was first; with the workload's own address
 * these would be gone after 28,000 connections a minute, while Linux gives those of loopback back after a second
 * (tcp_tw_reuse in ip-sysctl).
 *
 * Undefined for a family where the rules are not there: then it is done without.
 */
export async function portsForWorkload(): Promise<(address: string) => LocalPorts | undefined> {
  const range = readRange();
  const [ipv4, ipv6] = await Promise.all(
    (['ipv4', 'ipv6'] as const).map(async (family) =>
      (await isRewritten(family)) ? new PortsOf(LOOPBACK[family], range, Math.random()) : undefined,
    ),
  );
  return (address) => (isIPv6(address) ? ipv6 : ipv4);
}

function readRange(): { first: number; last: number } {
  try {
    const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    const [first = 0, last = 0] = text.trim().split(/\s+/u).map(Number);
    return first > 0 && last >= first ? { first, last } : USUAL_RANGE;
  } catch {
    return USUAL_RANGE;
  }
}

/** Connects from loopback to an address of this machine, and looks who seems to come. */
async function isRewritten(family: keyof typeof LOOPBACK): Promise<boolean> {
  const host = ownAddress(family);
  if (host === undefined) return false;
  const server = createServer();
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, TIMEOUT_MS, false);
  server.on('error', () => resolve(false));
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    resolve(socket.remoteAddress === host);
    socket.destroy();
  });
  server.listen(0, host, () => {
    const { port } = server.address() as { port: number };
    const client = connect({ host, port, localAddress: LOOPBACK[family] });
    client.on('error', () => resolve(false));
    client.on('end', () => client.destroy());
    client.resume();
  });
  return promise.finally(() => end(server, timer));
}

function end(server: Server, timer: NodeJS.Timeout): void {
  clearTimeout(timer);
  server.close();
}

/** Any that is neither loopback nor link-local. */
function ownAddress(family: 'ipv4' | 'ipv6'): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((infos) => infos ?? [])
    .find(
      (info) => !info.internal && info.family.toLowerCase() === family && !info.address.startsWith('fe80:'),
    )?.address;
}
