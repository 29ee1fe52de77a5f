/**
 * A process of its own: an echo backend and a crowd of clients on the other side of a forwarder. Tells its
 * parent the backend's port, is told the forwarder's, asks it to stand still before each burst, and in the end
 * says how many clients got back exactly what they had sent.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { HOST, portOf } from './harness.ts';

export const CLIENTS = 1_200;
const BURSTS = 6;
const MESSAGES_PER_BURST = 8;
const LONGEST_MESSAGE = 500;

class Client {
  readonly #socket: Socket;
  readonly #sent: Buffer[] = [];
  readonly #received: Buffer[] = [];

  constructor(port: number) {
    this.#socket = connect({ port, host: HOST });
    this.#socket.on('data', (chunk: Buffer) => this.#received.push(chunk));
  }

  say(): void {
    const bytes = randomBytes(randomInt(1, LONGEST_MESSAGE));
    this.#sent.push(bytes);
    this.#socket.write(bytes);
  }

  async isIntact(): Promise<boolean> {
    this.#socket.end();
    await once(this.#socket, 'close');
    return Buffer.concat(this.#sent).equals(Buffer.concat(this.#received));
  }
}

async function main(): Promise<void> {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, HOST, 4_096);
  await once(server, 'listening');
  process.send?.({ port: portOf(server) });
  const [port] = (await once(process, 'message')) as [number];
  const clients = Array.from({ length: CLIENTS }, () => new Client(port));
  for (let burst = 0; burst < BURSTS; burst++) {
    process.send?.({ standStill: true });
    for (let message = 0; message < MESSAGES_PER_BURST; message++) {
      for (const client of clients) client.say();
      await turn();
    }
    await delay(100);
  }
  const results = await Promise.all(clients.map((client) => client.isIntact()));
  server.close();
  process.send?.({ intact: results.filter(Boolean).length });
  process.disconnect?.();
}

if (process.send !== undefined && process.argv[2] === 'crowd') await main();
