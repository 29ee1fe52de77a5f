import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { ExecutionContext } from 'ava';
import type { Fields, Level, Logger } from '../../process/log.ts';
import { Balancer, type Policy } from '../../sidecar/balance/balancer.ts';
import { Forwarder } from '../../sidecar/forward/forwarder.ts';
import type { Limits } from '../../sidecar/forward/limits.ts';
import type { Outcome } from '../../sidecar/forward/outcome.ts';
import type { Decision, Destination, EndpointGroup, Routes } from '../../sidecar/services/decision.ts';
import { candidateOf, serviceOf } from '../fixtures/mesh.ts';

export const HOST = '127.0.0.1';
export const SERVICE = 'demo/hello';
export const DESTINATION: Destination = { kind: 'service', service: SERVICE, port: 80, protocol: 'tcp' };

/** A Service whose endpoints are these ports of this machine, in this order. */
export function groupOf(ports: readonly number[], address = HOST): EndpointGroup {
  const port = { name: '', port: 80, protocol: 'tcp', appProtocol: '' } as const;
  const candidates = ports.map((endpointPort) => candidateOf(address, endpointPort));
  return { service: serviceOf(SERVICE, { ports: [port] }), port, candidates };
}

export function balanceOver(ports: readonly number[]): Routes {
  return always({ action: 'balance', group: groupOf(ports) });
}

export function always(decision: Decision): Routes {
  return {
    decide: () => decision,
    doubt: () => false,
    use: () => ({ known: Promise.resolve(), release() {} }),
  };
}

export interface Line {
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

class Lines implements Logger {
  readonly lines: Line[] = [];
  readonly #waiting: ((outcome: Outcome) => void)[] = [];
  readonly #outcomes: Outcome[] = [];

  error(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'error', message, fields });
  }

  warn(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'warn', message, fields });
  }

  info(message: string, fields: Fields = {}): void {
    this.lines.push({ level: 'info', message, fields });
  }

  debug(_message: string, fields: Fields = {}): void {
    const outcome = fields as unknown as Outcome;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#outcomes.push(outcome);
    else waiting(outcome);
  }

  isEnabled(): boolean {
    return true;
  }

  with(): Logger {
    return this;
  }

  async nextOutcome(): Promise<Outcome> {
    const outcome = this.#outcomes.shift();
    return outcome ?? new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export interface Running {
  readonly forwarder: Forwarder;
  readonly port: number;
  readonly log: Lines;
  /** A client connection; closed with the test. */
  readonly client: () => Socket;
}

export interface Setup {
  readonly routes: Routes;
  readonly limits?: Partial<Limits>;
  readonly policy?: Policy;
  readonly address?: string;
}

/** A forwarder with one listener, drained with the test. */
export function startForwarder(t: ExecutionContext, setup: Setup): Running {
  const { routes, limits = {}, policy = 'round-robin', address = HOST } = setup;
  const log = new Lines();
  // Random is 0, so that round robin begins with the first endpoint.
  const balancer = new Balancer({ random: () => 0, policyOf: () => policy });
  const forwarder = new Forwarder({ routes, balancer, log, limits });
  const listening = forwarder.listen({
    name: 'hello.demo:80',
    address: { address, port: 0 },
    destinationOf: () => DESTINATION,
  });
  if (!listening.ok) throw new Error(listening.message);
  const { port } = listening.address;
  const clients: Socket[] = [];
  t.teardown(async () => {
    for (const client of clients) client.destroy();
    await forwarder.drain(0);
    if (forwarder.connections.size > 0) throw new Error('Connections were left open.');
  });
  const client = (): Socket => {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    socket.on('error', () => {});
    clients.push(socket);
    return socket;
  };
  return { forwarder, port, log, client };
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** A backend that gives each connection to `serve`; everything is closed with the test. */
export async function startBackend(
  t: ExecutionContext,
  serve: (socket: Socket) => void,
  address = HOST,
): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, address);
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return portOf(server);
}

export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** A port on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const port = portOf(server);
  server.close();
  await once(server, 'close');
  return port;
}

const STUCK_LISTENER = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer().listen({ port: 0, host: '${HOST}', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;

/** A port that answers no SYN: its listener accepts nothing and its backlog is full. */
export async function hangingPort(t: ExecutionContext): Promise<number> {
  const worker = new Worker(STUCK_LISTENER, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  const fillers: Socket[] = [];
  t.teardown(async () => {
    for (const filler of fillers) filler.destroy();
    await worker.terminate();
  });
  // How many fit differs between systems: full is when the next one has to wait.
  for (let isFull = false; !isFull;) {
    const filler = connect(port, HOST);
    filler.on('error', () => {});
    fillers.push(filler);
    await Promise.race([once(filler, 'connect'), delay(1_000)]);
    // A process that had no turn for so long hears of its timers first, and of connections then.
    await new Promise(setImmediate);
    isFull = filler.connecting;
  }
  return port;
}

/** All that a socket sends until it ends; it can still be written to then. */
export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

/** How a socket ended: an errno's name, or `end`. */
export async function endOf(socket: Socket): Promise<string> {
  socket.resume();
  return new Promise((resolve) => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.once('end', () => resolve('end'));
  });
}
