import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { balanceOver, startBackend, startForwarder } from './harness.ts';

const BYTES = 60 * 1024 * 1024;
const LARGEST_CHUNK = 512 * 1024;
/** One in so many chunks is followed by a pause; and one in so many reads. */
const PAUSE_ODDS = 40;

/** Sends random bytes in random chunks with random pauses, then ends. Resolves to their hash. */
async function sendRandom(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  const noise = randomBytes(LARGEST_CHUNK);
  for (let left = BYTES; left > 0;) {
    const size = Math.min(left, randomInt(10) === 0 ? randomInt(1, 100) : randomInt(1, LARGEST_CHUNK));
    // A fresh number in front: otherwise a chunk lost and another doubled could look alike.
    const chunk = Buffer.from(noise.subarray(0, size));
    if (size >= 4) chunk.writeUInt32LE(left, 0);
    hash.update(chunk);
    left -= size;
    if (!socket.write(chunk)) await once(socket, 'drain');
    if (randomInt(PAUSE_ODDS) === 0) await delay(randomInt(10));
  }
  socket.end();
  return hash.digest('hex');
}

/** Reads to the end with random pauses. Resolves to the hash of all of it. */
async function receive(socket: Socket): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    hash.update(chunk as Buffer);
    if (randomInt(PAUSE_ODDS * 10) === 0) await delay(randomInt(10));
  }
  return hash.digest('hex');
}

test('three connections at once, 60 MB both ways each, arrive byte for byte', async (t) => {
  const atBackend: Promise<[sent: string, received: string]>[] = [];
  const backend = await startBackend(t, (socket) => {
    atBackend.push(Promise.all([sendRandom(socket), receive(socket)]));
  });
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const sockets = [client(), client(), client()];
  const atClient = await Promise.all(
    sockets.map((socket) => Promise.all([sendRandom(socket), receive(socket)])),
  );
  const mirrored = (await Promise.all(atBackend)).map(([sent, received]) => [received, sent]);
  t.deepEqual(new Set(atClient.map(String)), new Set(mirrored.map(String)));
  for (const _ of sockets) {
    t.like(await log.nextOutcome(), { ending: 'complete', sentBytes: BYTES, receivedBytes: BYTES });
  }
});
