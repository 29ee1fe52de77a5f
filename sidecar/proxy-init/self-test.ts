import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Interception } from '../config.ts';
import { parseInterval } from './intervals.ts';

/** Addresses that are nobody's (RFC 5737, RFC 3849): a connection to them ends here, if the rules work. */
const NOBODY = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;
const WILDCARDS = { ipv4: '0.0.0.0', ipv6: '::' } as const;

/** Ports to try, of which one is hardly ever excluded. */
const PORTS = [443, 80, 9, 54_321];

/** On loopback a connection takes microseconds. */
const TIMEOUT_MS = 2_000;

export type Tested =
  | { readonly outcome: 'arrived' }
  /** It could not be tried. */
  | { readonly outcome: 'skipped'; readonly why: string }
  | { readonly outcome: 'lost'; readonly why: string };

type Family = keyof typeof NOBODY;

/** Makes a connection to nobody, and sees whether the kernel brings it to the sidecar's port. */
export async function selfTest(interception: Interception, family: Family): Promise<Tested> {
  if (process.getuid?.() === interception.proxyUid) {
    return { outcome: 'skipped', why: 'it runs as the user whose connections are left alone' };
  }
  const port = PORTS.find((candidate) => !isExcluded(interception, family, candidate));
  if (port === undefined) return { outcome: 'skipped', why: 'what it would try is excluded' };
  const server = createServer();
  const why = await listens(server, family, interception.outbound.port);
  if (why !== undefined) return { outcome: 'skipped', why };
  try {
    return await arrives(server, family, port);
  } finally {
    server.close();
  }
}

function isExcluded({ outbound: { exclude } }: Interception, family: Family, port: number): boolean {
  const [address] = parseInterval(NOBODY[family]);
  return (
    exclude.ports.some(({ first, last }) => first <= port && port <= last) ||
    exclude.cidrs
      .filter((cidr) => cidr.family === family)
      .map((cidr) => parseInterval(`${cidr.address}/${cidr.prefix}`))
      .some(([first, last]) => first <= address && address <= last)
  );
}

/** Why it cannot, or undefined once it does: the sidecar itself may be running already. */
function listens(server: Server, family: Family, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    server.once('error', ({ message }) => resolve(message));
    server.listen({ port, host: WILDCARDS[family], ipv6Only: family === 'ipv6' }, () => resolve(undefined));
  });
}

function arrives(server: Server, family: Family, port: number): Promise<Tested> {
  const { promise, resolve } = Promise.withResolvers<Tested>();
  const client = connect({ host: NOBODY[family], port });
  client.setTimeout(TIMEOUT_MS, () => resolve(lost(`nothing arrived within ${TIMEOUT_MS} ms`)));
  client.once('error', (error: NodeJS.ErrnoException) => resolve(failed(error)));
  // Either end may hear of it first; somebody else may connect as well.
  const accepted = new Map<number | undefined, Socket>();
  const settle = (): void => {
    if (accepted.has(client.localPort)) resolve({ outcome: 'arrived' });
  };
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    accepted.set(socket.remotePort, socket);
    settle();
  });
  client.once('connect', settle);
  return promise.finally(() => {
    for (const socket of [client, ...accepted.values()]) socket.destroy();
  });
}

/** Without a route nothing leaves the pod, and there is nothing to redirect. */
function failed({ code = '', message }: NodeJS.ErrnoException): Tested {
  return ['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'].includes(code)
    ? { outcome: 'skipped', why: `no route (${message})` }
    : lost(message);
}

function lost(why: string): Tested {
  return { outcome: 'lost', why };
}
