import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket as Connection } from 'node:net';

/** What a query is answered with, at once or later. */
export type Behaviour = (
  query: Buffer,
  transport: 'udp' | 'tcp',
) => readonly Buffer[] | Promise<readonly Buffer[]>;

/** A DNS server, by UDP and TCP on one port, that does as it is told. */
export class NameServer {
  readonly asked: Buffer[] = [];
  behave: Behaviour;
  readonly #udp: Socket;
  readonly #tcp: Server;
  readonly #connections = new Set<Connection>();
  #isClosed = false;

  private constructor(udp: Socket, tcp: Server, behave: Behaviour) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.behave = behave;
  }

  static async start(behave: Behaviour): Promise<NameServer> {
    const { udp, tcp } = await bothOnOnePort();
    const server = new NameServer(udp, tcp, behave);
    udp.on('message', (query, from) => {
      void server.#answer(query, 'udp', (answer) => udp.send(answer, from.port, from.address));
    });
    tcp.on('connection', (socket) => {
      server.#connections.add(socket);
      socket.on('close', () => server.#connections.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.on('data', (chunk: Buffer) => {
        void server.#answer(chunk.subarray(2), 'tcp', (answer) => socket.write(framed(answer)));
      });
    });
    return server;
  }

  get address() {
    const { address, port } = this.#udp.address();
    return { address, port };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** To all who are connected. */
  sendToAll(bytes: Buffer): void {
    for (const socket of this.#connections) socket.write(bytes);
  }

  /** Connections are refused from now on; by UDP it goes on. */
  closeTcp(): void {
    this.#tcp.close();
  }

  /** May be called again. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#udp.close();
    this.#tcp.close();
  }

  async #answer(query: Buffer, transport: 'udp' | 'tcp', send: (answer: Buffer) => void): Promise<void> {
    this.asked.push(query);
    const answers = await this.behave(query, transport);
    if (!this.#isClosed) for (const answer of answers) send(answer);
  }
}

/** As it is by TCP: with its length before it. */
export function framed(message: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** A port that is free by UDP may be taken by TCP. */
async function bothOnOnePort(): Promise<{ readonly udp: Socket; readonly tcp: Server }> {
  for (;;) {
    const udp = createSocket('udp4');
    udp.bind(0, '127.0.0.1');
    await once(udp, 'listening');
    const tcp = createServer();
    tcp.listen(udp.address().port, '127.0.0.1');
    const isBound = await once(tcp, 'listening').then(
      () => true,
      () => false,
    );
    if (isBound) return { udp, tcp };
    udp.close();
  }
}

/** The answer to a query with one question: this many A records, each with its address 192.0.2.n. */
export function addressAnswer(query: Buffer, { count = 1, ttl = 60, flags = 0x8180 } = {}): Buffer {
  const records = Array.from({ length: count }, (_, index) => addressRecord(index + 1, ttl));
  return recordsAnswer(query, records, flags);
}

export function recordsAnswer(query: Buffer, records: readonly Buffer[], flags = 0x8180): Buffer {
  const answer = Buffer.concat([query.subarray(0, questionEnd(query)), ...records]);
  answer.writeUInt16BE(flags | (query.readUInt16BE(2) & 0x7800), 2);
  answer.writeUInt16BE(records.length, 6);
  answer.writeUInt16BE(0, 8);
  answer.writeUInt16BE(0, 10);
  return answer;
}

/** Of the name that was asked. */
export function addressRecord(lastByte: number, ttl = 60): Buffer {
  return Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, ttl >> 8, ttl & 0xff, 0, 4, 192, 0, 2, lastByte]);
}

/** Nothing but a header and the question. */
export function rcodeAnswer(query: Buffer, rcode: number): Buffer {
  return addressAnswer(query, { count: 0, flags: 0x8180 | rcode });
}

export function questionEnd(query: Buffer): number {
  let at = 12;
  while ((query[at] ?? 0) !== 0) at += (query[at] ?? 0) + 1;
  return at + 5;
}
