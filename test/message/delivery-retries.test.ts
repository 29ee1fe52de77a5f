import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import type { EndpointLoad } from '../../sidecar/balance/load.ts';
import { delivered, type Failure, failed, OUTCOMES, verdictOf } from '../../sidecar/message/answer.ts';
import { HeldMemory } from '../../sidecar/message/held-memory.ts';
import { HttpTaker } from '../../sidecar/message/http-taker.ts';
import { replyLine } from '../../sidecar/message/protocol.ts';
import { until } from '../until.ts';
import {
  failureOf,
  HOST,
  type Reply,
  request,
  type RunningSidecar,
  serviceAt,
  sharedPort,
  startSidecar,
  startWorkload,
  tableOf,
  textOf,
} from './harness.ts';

// When another sidecar gets a message, and what the one that did not take it is believed to be worth.

const A = '127.0.2.2';
const B = '127.0.2.3';
const C = '127.0.2.4';
const OTHER = '127.0.2.9';
const NOBODY = ['127.0.2.11', '127.0.2.12', '127.0.2.13'] as const;

const FAILURES = OUTCOMES.filter((outcome): outcome is Failure => verdictOf({ outcome }) !== 'taken');
const NOT_TAKEN = FAILURES.filter((outcome) => verdictOf({ outcome }) === 'not-taken');
const FINAL = FAILURES.filter((outcome) => verdictOf({ outcome }) === 'final');

interface Other {
  readonly sockets: Set<Socket>;
  /** It has been sent something. */
  readonly asked: Promise<void>;
}

/** Something at another sidecar's address that answers what it is sent with what `answer` makes of it, if anything. */
async function startOther(
  t: ExecutionContext,
  port: number,
  answer: (line: string) => string,
): Promise<Other> {
  const sockets = new Set<Socket>();
  const asked = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      asked.resolve();
      socket.write(answer(chunk.toString()));
    });
  }).listen(port, OTHER);
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  return { sockets, asked: asked.promise };
}

/** Fails with the outcome that is the payload, and says so. */
function asTold(line: string): string {
  const outcome = textOf(JSON.parse(line) as Reply) as Failure;
  return replyLine('demo/hello', failed(outcome, `${outcome}, it says.`), true);
}

const DELIVERED = replyLine('demo/hello', delivered(''), true);

function loadOf({ balancer }: RunningSidecar, address: string): EndpointLoad | undefined {
  return [...balancer.loads('demo/hello')].find(({ id }) => id.startsWith(`${address}:`));
}

/**
 * Whether an endpoint is avoided, or was until some time ago: whoever has failed last is, from the beginning of time
 * on. So it does not matter how late a busy machine asks.
 */
function hasFailed(sidecar: RunningSidecar, address: string): boolean {
  return loadOf(sidecar, address)?.isAvoided(0) ?? false;
}

test('a sidecar whose workload is down takes no messages away from one whose workload is slower', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [B, C]));
  const workload = await startWorkload(t, (body, response) => void setTimeout(() => response.end(body), 20));
  const takers = [workload.url, `http://${HOST}:1/messages`].map(
    (url) => new HttpTaker({ url, timeoutMs: 10_000 }),
  );
  t.teardown(() => takers.forEach((taker) => taker.close()));
  const [up, down] = [B, C].map((address, index) =>
    startSidecar(t, { table: () => table, address, port, taker: takers[index]! }),
  );
  const { client } = startSidecar(t, { table: () => table, address: A, port });
  const clients = Array.from({ length: 5 }, client);
  for (let index = 0; index < 20; index += 1) {
    const replies = await Promise.all(clients.map((one) => one.ask(request(`${index}`))));
    t.true(replies.every((reply) => textOf(reply) === `${index}`));
  }
  t.is(up!.counters.outcomes.delivered, 100);
  t.true(down!.counters.outcomes.unreachable < 20);
});

for (const outcome of NOT_TAKEN) {
  test(`${outcome}, says a sidecar: another gets the message, and that one is avoided`, async (t) => {
    const port = await sharedPort();
    await startOther(t, port, asTold);
    const table = tableOf(...serviceAt('hello', [OTHER, B]));
    const sidecar = startSidecar(t, { table: () => table, address: A, port });
    startSidecar(t, { table: () => table, address: B, port });
    while (!hasFailed(sidecar, OTHER)) {
      t.is(textOf(await sidecar.client().ask(request(outcome))), outcome);
    }
    t.is(sidecar.counters.retries, 1);
  });
}

test('a long message that a full sidecar does not even read is given to another', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [B, C]));
  const { client, counters } = startSidecar(t, { table: () => table, address: A, port });
  const full = startSidecar(t, { table: () => table, address: B, port, limits: { maxConnections: 1 } });
  startSidecar(t, { table: () => table, address: C, port });
  await full.client().ask(request('first'));
  const long = 'x'.repeat(700_000);
  while (counters.retries === 0) t.is(textOf(await client().ask(request(long))).length, long.length);
});

test('where no other is left the sender is told what the last one said', async (t) => {
  const port = await sharedPort();
  await startOther(t, port, asTold);
  const table = tableOf(...serviceAt('hello', [OTHER]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const one = sidecar.client();
  for (const outcome of NOT_TAKEN) {
    t.is(failureOf(await one.ask(request(outcome))), `${outcome}, it says.`);
    t.is(sidecar.counters.outcomes[outcome], 1);
  }
});

test('what is final for a message is told at once, and makes its endpoint neither better nor worse', async (t) => {
  const port = await sharedPort();
  await startOther(t, port, asTold);
  const table = tableOf(...serviceAt('hello', [OTHER]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const one = sidecar.client();
  for (const outcome of FINAL) t.is(failureOf(await one.ask(request(outcome))), `${outcome}, it says.`);
  const load = loadOf(sidecar, OTHER);
  t.false(hasFailed(sidecar, OTHER));
  t.like(load, { opened: 0, active: 0 });
  t.is(load?.latencyMs(performance.now()), 0);

  await one.ask(request('overloaded'));
  await one.ask(request('refused'));
  t.true(hasFailed(sidecar, OTHER), 'it did not become good again by that');
});

test('a Service whose endpoints are all gone uses up no other Service’s retries', async (t) => {
  const port = await sharedPort();
  const halves = Array.from({ length: 10 }, (_, index) => `half-${index}`);
  const table = tableOf(
    ...serviceAt('gone', NOBODY),
    ...halves.flatMap((name) => serviceAt(name, [NOBODY[0], B])),
  );
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  startSidecar(t, { table: () => table, address: B, port });
  const one = sidecar.client();
  for (let index = 0; index < 300; index += 1) one.send(request('hi', 'gone.demo'));
  for (let index = 0; index < 300; index += 1) t.regex(failureOf(await one.reply()), /did not accept/u);
  t.true(sidecar.counters.retries < 300, 'they are bounded');
  for (const name of halves) t.is(textOf(await one.ask(request('hi', `${name}.demo`))), 'hi');
});

test('a Service that has all connections in use makes no endpoint of another avoided', async (t) => {
  const port = await sharedPort();
  const slow = await startOther(t, port, () => '');
  const table = tableOf(...serviceAt('slow', [OTHER]), ...serviceAt('hello', [B, C]));
  const peers = { maxAllConnections: 1 };
  const sidecar = startSidecar(t, { table: () => table, address: A, port, peers });
  startSidecar(t, { table: () => table, address: B, port });
  startSidecar(t, { table: () => table, address: C, port });
  const first = sidecar.client().ask(request('hi', 'slow.demo'));
  await slow.asked;
  const one = sidecar.client();
  t.regex(failureOf(await one.ask(request('hi'))), /cannot be given more.*was not delivered\.$/u);
  for (const address of [B, C]) {
    t.false(hasFailed(sidecar, address));
    t.is(loadOf(sidecar, address)?.active, 0);
  }
  t.is(sidecar.counters.retries, 0);
  for (const socket of slow.sockets) socket.write(DELIVERED);
  await first;
  t.is(textOf(await one.ask(request('hi'))), 'hi');
});

test('what finds no connection free waits with another endpoint, which takes no retry', async (t) => {
  const port = await sharedPort();
  let isSlow = true;
  const slow = await startOther(t, port, () => (isSlow ? '' : DELIVERED));
  let table = tableOf(...serviceAt('hello', [OTHER]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port, peers: { maxAllConnections: 1 } });
  const first = sidecar.client().ask(request('hi'));
  await slow.asked;
  // Nothing is under way to B, so that each would rather go there. They are more than there are retries.
  table = tableOf(...serviceAt('hello', [OTHER, B]));
  const replies = Array.from({ length: 150 }, () => sidecar.client().ask(request('hi')));
  await until(
    '151 messages under way',
    () => loadOf(sidecar, OTHER)?.active,
    (count) => count === 151,
  );
  t.is(sidecar.counters.retries, 0);
  isSlow = false;
  for (const socket of slow.sockets) socket.write(DELIVERED);
  for (const reply of [first, ...replies]) t.is(textOf(await reply), '{"status":"received"}');
});

test('an answer that finds no room here may be that to a message delivered, and is no fault of its endpoint', async (t) => {
  const port = await sharedPort();
  await startOther(t, port, () => 'x'.repeat(20_000));
  const table = tableOf(...serviceAt('hello', [OTHER]));
  const peers = { memory: new HeldMemory(10_000) };
  const sidecar = startSidecar(t, { table: () => table, address: A, port, peers });
  t.regex(
    failureOf(await sidecar.client().ask(request('hi'))),
    /answers at length.*may have been delivered\.$/u,
  );
  t.is(sidecar.counters.outcomes.lost, 1);
  t.is(sidecar.counters.retries, 0);
  t.false(hasFailed(sidecar, OTHER));
});
