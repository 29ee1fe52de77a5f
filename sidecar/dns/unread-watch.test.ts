import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { UnreadWatch } from './unread-watch.ts';

const MIB = 1 << 20;

async function connected(
  t: ExecutionContext,
): Promise<{ readonly sending: Socket; readonly reading: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reading = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const [sending] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    sending.destroy();
    reading.destroy();
    server.close();
  });
  return { sending, reading };
}

/** More than a socket holds, so that the kernel sees it. */
async function readOn(reading: Socket, bytes: number): Promise<void> {
  const until = reading.bytesRead + bytes;
  reading.resume();
  while (reading.bytesRead < until) await once(reading, 'data');
  reading.pause();
}

test('who reads on within what was written at once is left alone, until that ends', async (t) => {
  const { sending, reading } = await connected(t);
  const unread = Promise.withResolvers<void>();
  let isUnread = false;
  const watch = new UnreadWatch(sending, 2_000, () => {
    isUnread = true;
    unread.resolve();
  });
  sending.write(Buffer.alloc(40 * MIB));
  watch.look();
  reading.on('data', () => {});
  for (let time = 0; time < 10; time++) {
    await delay(300);
    await readOn(reading, 3 * MIB);
    t.false(isUnread);
  }
  t.is(sending.writableLength, 40 * MIB, 'none of it has been told as written');
  await unread.promise;
  t.false(watch.isWaiting);
});
