/**
 * A process of its own: an echo backend and a crowd of clients on the other side of a forwarder. Says on which port the
 * backend is, hears on which port the forwarder is, and says how many clients got back exactly what they sent.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HOST, portOf } from './harness.ts';

const CLIENTS = 1_200;
const MESSAGES = 30;
const LONGEST_MESSAGE = 3_000;

async function converse(port: number): Promise<boolean> {
  const socket = connect({ port, host: HOST });
  const sent: Buffer[] = [];
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  for (let message = 0; message < MESSAGES; message++) {
    const bytes = randomBytes(randomInt(1, LONGEST_MESSAGE));
    sent.push(bytes);
    socket.write(bytes);
    await delay(randomInt(20));
  }
  socket.end();
  await once(socket, 'close');
  return Buffer.concat(sent).equals(Buffer.concat(received));
}

const server = createServer((socket) => socket.pipe(socket)).listen(0, HOST, 4_096);
await once(server, 'listening');
process.send?.(portOf(server));
const [port] = (await once(process, 'message')) as [number];
const results = await Promise.all(Array.from({ length: CLIENTS }, () => converse(port)));
server.close();
process.send?.(results.filter(Boolean).length);
process.disconnect?.();
