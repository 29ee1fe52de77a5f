import test, { type ExecutionContext } from 'ava';
import { HttpTaker } from '../../sidecar/message/http-taker.ts';
import {
  type Client,
  request,
  serviceAt,
  sharedPort,
  startSidecar,
  startWorkload,
  tableOf,
  textOf,
} from './harness.ts';

// 100,000 messages over 100 connections: each is answered once, in its place, with what belongs to it.

const CONNECTIONS = 100;
/** For all of them to wait for one another on a busy machine. */
const LONG_MS = 100_000;
const MESSAGES = 100_000;
const A = '127.0.1.2';
const B = '127.0.1.3';

/** Sends as fast as it is read, and counts the replies that are not what they should be. */
async function talk(client: Client, name: number, count: number): Promise<number> {
  let wrong = 0;
  const sending = (async () => {
    for (let index = 0; index < count; index += 1) {
      client.send(request(`${name} ${index}`));
      if (client.socket.writableNeedDrain)
        await new Promise((resolve) => client.socket.once('drain', resolve));
    }
  })();
  for (let index = 0; index < count; index += 1) {
    if (textOf(await client.reply()) !== `${name} ${index}`) wrong += 1;
  }
  await sending;
  return wrong;
}

async function talkOnAll(t: ExecutionContext, client: () => Client, messages: number): Promise<void> {
  const clients = Array.from({ length: CONNECTIONS }, client);
  const wrong = await Promise.all(clients.map((one, name) => talk(one, name, messages / CONNECTIONS)));
  t.is(
    wrong.reduce((sum, count) => sum + count, 0),
    0,
  );
  t.false(clients.some(({ isAhead }) => isAhead));
}

test.serial('taken by the sidecar that is connected to', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [A]));
  const { client, counters } = startSidecar(t, { table: () => table, address: A, port });
  await talkOnAll(t, client, MESSAGES);
  t.is(counters.outcomes.delivered, MESSAGES);
});

test.serial('forwarded to another sidecar', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [B]));
  const { client, counters } = startSidecar(t, { table: () => table, address: A, port });
  const other = startSidecar(t, { table: () => table, address: B, port });
  await talkOnAll(t, client, MESSAGES);
  t.is(counters.outcomes.delivered, MESSAGES);
  t.is(other.counters.outcomes.delivered, MESSAGES);
});

test.serial('handed to a workload by way of another sidecar', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t);
  const table = tableOf(...serviceAt('hello', [B]));
  const taker = new HttpTaker({ url: workload.url, timeoutMs: LONG_MS, maxWaiting: 10_000 });
  t.teardown(() => taker.close());
  const limits = { deliveryTimeoutMs: LONG_MS };
  const { client } = startSidecar(t, { table: () => table, address: A, port, limits });
  startSidecar(t, { table: () => table, address: B, port, taker });
  await talkOnAll(t, client, MESSAGES / 10);
  t.is(workload.taken.length, MESSAGES / 10);
  t.is(new Set(workload.taken.map(({ body }) => body)).size, MESSAGES / 10);
});
