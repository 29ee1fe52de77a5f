/** Sidecars' message APIs on this machine's loopback addresses, and those who talk with them. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ExecutionContext } from 'ava';
import { createLogger, type Logger } from '../../process/log.ts';
import { Balancer } from '../../sidecar/balance/balancer.ts';
import { type Answer, RECEIVED } from '../../sidecar/message/answer.ts';
import { MessageCounters } from '../../sidecar/message/counters.ts';
import { Delivery, type Taker } from '../../sidecar/message/delivery.ts';
import { HeldMemory } from '../../sidecar/message/held-memory.ts';
import { DEFAULT_MESSAGE_LIMITS, type MessageLimits } from '../../sidecar/message/limits.ts';
import { Locator } from '../../sidecar/message/locate.ts';
import { type Deliver, MessageApi } from '../../sidecar/message/message-api.ts';
import { DEFAULT_PEERS, Peers, type PeersOptions } from '../../sidecar/message/peers.ts';
import type { Change, Origin } from '../../sidecar/services/change.ts';
import { emptyTable, type Table, withChanges } from '../../sidecar/services/table.ts';
import { endpointOf, serviceOf } from '../fixtures/mesh.ts';
import { within } from '../until.ts';

export const HOST = '127.0.0.1';
const origin: Origin = { version: '1', source: 'control-plane', sinceMs: 0 };

export interface Reply {
  readonly payload: string;
  readonly service: string;
  readonly direction: string;
}

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface RunningApi {
  readonly api: MessageApi;
  readonly counters: MessageCounters;
  readonly port: number;
  readonly log: readonly Line[];
  /** A connection to it, from this address of loopback; closed with the test. */
  readonly client: (localAddress?: string) => Client;
}

export function logInto(lines: Line[]): Logger {
  const write = (line: string): void => void lines.push(JSON.parse(line) as Line);
  return createLogger({ format: 'json', level: () => 'debug', write, now: () => new Date() });
}

export interface ApiSetup {
  readonly deliver?: Deliver;
  readonly limits?: Partial<MessageLimits>;
  readonly host?: string;
  readonly port?: number;
  readonly counters?: MessageCounters;
  readonly memory?: HeldMemory;
}

/** One that gives each message to `deliver`; drained with the test. */
export function startApi(t: ExecutionContext, setup: ApiSetup): RunningApi {
  const { deliver = receive, limits = {}, host = HOST, port = 0, counters = new MessageCounters() } = setup;
  const { memory = new HeldMemory(limits.heldBytes) } = setup;
  const log: Line[] = [];
  const api = new MessageApi({
    deliver,
    limits: { ...DEFAULT_MESSAGE_LIMITS, ...limits },
    counters,
    log: logInto(log),
    memory,
  });
  const address = api.listen({ address: host, port });
  if (typeof address === 'string') throw new Error(address);
  const clients: Client[] = [];
  t.teardown(async () => {
    for (const client of clients) client.socket.destroy();
    await api.drain(0);
    if (api.openConnections > 0) throw new Error('Connections were left open.');
    if (api.memory.bytes !== 0) throw new Error(`${api.memory.bytes} bytes were left held.`);
  });
  const client = (localAddress = HOST): Client => {
    const made = new Client(connect({ host, port: address.port, localAddress, allowHalfOpen: true }));
    clients.push(made);
    return made;
  };
  return { api, counters, port: address.port, log, client };
}

async function receive(): Promise<Answer> {
  return RECEIVED;
}

/** Reads replies one by one, whoever waits for them first. */
export class Client {
  readonly socket: Socket;
  /** An errno's name, or `end`. */
  readonly ending: Promise<string>;
  readonly #lines: string[] = [];
  readonly #waiting: ((line: string) => void)[] = [];
  #begun = '';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk.toString()));
    const { promise, resolve } = Promise.withResolvers<string>();
    this.ending = promise;
    socket.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'error'));
    socket.on('end', () => resolve('end'));
  }

  send(...lines: readonly (object | string)[]): void {
    this.socket.write(
      lines.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''),
    );
  }

  async line(): Promise<string> {
    const line = this.#lines.shift();
    return line ?? within('a reply', new Promise((resolve) => this.#waiting.push(resolve)));
  }

  async reply(): Promise<Reply> {
    return JSON.parse(await this.line()) as Reply;
  }

  async ask(line: object | string): Promise<Reply> {
    this.send(line);
    return this.reply();
  }

  /** Whether replies have come that nobody has asked for. */
  get isAhead(): boolean {
    return this.#lines.length > 0;
  }

  #take(text: string): void {
    const lines = (this.#begun + text).split('\n');
    this.#begun = lines.pop() ?? '';
    for (const line of lines) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#lines.push(line);
      else waiting(line);
    }
  }
}

export function request(payload: string, service = 'hello.demo'): object {
  return { service, direction: 'Incoming', payload: Buffer.from(payload).toString('base64') };
}

export function textOf({ payload }: Pick<Reply, 'payload'>): string {
  return Buffer.from(payload, 'base64').toString();
}

/** The text of an error, without what all of them begin with. */
export function failureOf(reply: Reply): string {
  const { error } = JSON.parse(textOf(reply)) as { error: string };
  if (!error.startsWith('Delivery failed: ')) throw new Error(`That is no failure: ${textOf(reply)}`);
  return error.slice('Delivery failed: '.length);
}

/** Says what it was given: who mixes up replies is found out. */
export const ECHO: Taker = {
  take: async ({ payload }) => ({ outcome: 'delivered', payload, detail: '' }),
};

/** A Service of `demo` whose endpoints are these loopback addresses, each behind a sidecar. */
export function serviceAt(
  name: string,
  addresses: readonly string[],
  fields: { readonly inMesh?: boolean } = {},
): Change[] {
  const key = `demo/${name}`;
  const service = serviceOf(key, { type: 'headless' });
  const endpoints = addresses.map((address) => endpointOf(address, { inMesh: true, ...fields }));
  return [
    { kind: 'service', service, origin },
    { kind: 'slice', slice: { key: `${key}/1`, service: key, family: 'ipv4', ports: [], endpoints }, origin },
  ];
}

export function tableOf(...changes: readonly Change[]): Table {
  return withChanges(emptyTable({ zone: '', node: '' }), [{ kind: 'services-known' }, ...changes]);
}

export interface SidecarSetup extends ApiSetup {
  /** Asked for each message. */
  readonly table: () => Table;
  /** Also where it listens. */
  readonly address: string;
  /** Where it listens, and all sidecars that it forwards to. */
  readonly port: number;
  readonly taker?: Taker;
  readonly peers?: Partial<PeersOptions>;
  /** By which those who forward to it wait longer. */
  readonly endpointsWaitMs?: number;
}

export interface RunningSidecar extends RunningApi {
  readonly peers: Peers;
  readonly balancer: Balancer;
}

/** Forwards and delivers as the real one. */
export function startSidecar(t: ExecutionContext, setup: SidecarSetup): RunningSidecar {
  const { table, address, port, taker = ECHO, limits = {}, endpointsWaitMs: waitMs = 0 } = setup;
  const { connectTimeoutMs = DEFAULT_PEERS.connectTimeoutMs } = limits;
  const peers = new Peers({ ...DEFAULT_PEERS, connectTimeoutMs, ...setup.peers });
  const balancer = new Balancer({ random: Math.random });
  const counters = new MessageCounters();
  const own = new Set([address]);
  const delivery = new Delivery({
    directory: {
      get table() {
        return table();
      },
      use: () => ({ known: Promise.resolve(), release() {} }),
      servicesTold: async () => {},
      waitMs,
    },
    locator: new Locator(port),
    ownAddresses: () => own,
    taker,
    balancer,
    peers,
    counters,
    log: logInto([]),
    deliveryTimeoutMs: limits.deliveryTimeoutMs ?? DEFAULT_MESSAGE_LIMITS.deliveryTimeoutMs,
  });
  const running = startApi(t, {
    host: address,
    port,
    limits,
    counters,
    deliver: (message, from) => delivery.deliver(message, from),
  });
  t.teardown(() => {
    peers.close();
    if (peers.openConnections > 0) throw new Error('Connections to peers were left open.');
  });
  return { ...running, peers, balancer };
}

/** A port that is free on all loopback addresses, for sidecars that must have the same one. */
export async function sharedPort(): Promise<number> {
  const server = createServer().listen(0, '0.0.0.0');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export interface Workload {
  readonly url: string;
  readonly port: number;
  /** Requests so far. */
  readonly taken: { readonly body: string; readonly headers: IncomingMessage['headers'] }[];
}

/** An HTTP server that answers as it is told, by default with what it was sent. */
export async function startWorkload(
  t: ExecutionContext,
  answer: (body: Buffer, response: ServerResponse) => void = (body, response) => response.end(body),
): Promise<Workload> {
  const taken: Workload['taken'] = [];
  const server = createHttpServer((message, response) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk: Buffer) => chunks.push(chunk));
    message.on('end', () => {
      const body = Buffer.concat(chunks);
      taken.push({ body: body.toString(), headers: message.headers });
      answer(body, response);
    });
    message.on('error', () => {});
  });
  server.listen(0, HOST);
  await once(server, 'listening');
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const { port } = server.address() as { port: number };
  return { url: `http://${HOST}:${port}/messages`, port, taken };
}
