import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { type Answer, delivered, failed } from '../../sidecar/message/answer.ts';
import { HeldMemory } from '../../sidecar/message/held-memory.ts';
import { HttpTaker } from '../../sidecar/message/http-taker.ts';
import { DEFAULT_PEERS, Peers } from '../../sidecar/message/peers.ts';
import { until } from '../until.ts';
import {
  type ApiSetup,
  type Client,
  failureOf,
  HOST,
  request,
  type RunningApi,
  startApi,
  startWorkload,
  textOf,
} from './harness.ts';

// What there is not enough of for all is not left to who takes most of it.

const GREEDY = '127.0.0.2';
const MODEST = '127.0.0.3';

/** So many connections of an address, in their order. */
async function connectAll(
  { client, counters }: RunningApi,
  address: string,
  count: number,
): Promise<Client[]> {
  const clients: Client[] = [];
  for (const before = counters.connections; clients.length < count;) {
    clients.push(client(address));
    await until(
      `connection ${before + clients.length}`,
      async () => counters.connections,
      (connections) => connections === before + clients.length,
    );
  }
  return clients;
}

test('where no more connections fit, the address that has most makes room with the one that has rested longest', async (t) => {
  const api = startApi(t, { limits: { maxConnections: 6 } });
  const greedy = await connectAll(api, GREEDY, 5);
  const [modest] = await connectAll(api, MODEST, 1);
  await greedy[0]!.ask(request('not the one'));
  t.is(textOf(await api.client(MODEST).ask(request('one more'))), '{"status":"received"}');
  t.regex(
    failureOf(await greedy[1]!.reply()),
    /^6 connections are open .+ made room: your address has more than any other\.$/u,
  );
  t.is(await greedy[1]!.ending, 'end');
  t.is(textOf(await modest!.ask(request('still there'))), '{"status":"received"}');
  t.is(textOf(await greedy[0]!.ask(request('still there'))), '{"status":"received"}');
  t.is(api.counters.outcomes.overloaded, 1);
});

test('a connection whose line has only begun makes room, one whose message is under way does not', async (t) => {
  const answer = Promise.withResolvers<Answer>();
  const api = startApi(t, { deliver: () => answer.promise, limits: { maxConnections: 2 } });
  const [waiting, begun] = await connectAll(api, GREEDY, 2);
  waiting!.send(request('under way'));
  begun!.socket.write('{"service":');
  await until(
    'the message and the begun line are held',
    async () => api.api.memory.bytes,
    (bytes) => bytes > JSON.stringify(request('under way')).length,
  );
  const modest = api.client(MODEST);
  modest.send(request('one more'));
  t.regex(failureOf(await begun!.reply()), /made room/u);
  const another = api.client('127.0.0.4');
  t.regex(failureOf(await another.reply()), /^2 connections are open for messages, the most allowed\.$/u);
  answer.resolve(delivered(''));
  for (const one of [waiting!, modest]) t.is(textOf(await one.reply()), '{"status":"received"}');
});

test('one whose lines wait to be taken makes room only where none rests', async (t) => {
  const api = startApi(t, { limits: { maxConnections: 2, messagesPerSecond: 1 } });
  const [waiting, resting] = await connectAll(api, GREEDY, 2);
  waiting!.send(request('at once'), request('waits'));
  await waiting!.reply();
  await resting!.ask(request('at once'));
  for (const one of [resting, waiting]) {
    api.client(one === resting ? MODEST : '127.0.0.4');
    t.regex(failureOf(await one!.reply()), /made room/u);
  }
});

test('who has most is not made room for', async (t) => {
  const api = startApi(t, { limits: { maxConnections: 4 } });
  const greedy = await connectAll(api, GREEDY, 3);
  await connectAll(api, MODEST, 1);
  t.regex(failureOf(await api.client(GREEDY).reply()), /^4 connections are open/u);
  for (const one of greedy) t.is(textOf(await one.ask(request('still there'))), '{"status":"received"}');
});

test('the longest lines that have only begun are dropped before any message is turned away', async (t) => {
  // A line that has begun may have twice the memory that it needs.
  const heldBytes = 1_500_000;
  const api = startApi(t, { deliver: async ({ payload }) => delivered(payload), limits: { heldBytes } });
  const { memory } = api.api;
  const begun: Client[] = [];
  const lengths = [200_000, 600_000, 100_000];
  for (const length of lengths) {
    const before = memory.bytes;
    const one = api.client(GREEDY);
    one.socket.write('x'.repeat(length));
    begun.push(one);
    // Its own: the memory of one may be enough for it and the next.
    await until(
      `${length} more held bytes`,
      async () => memory.bytes - before,
      (bytes) => bytes >= length,
    );
  }
  t.true(memory.bytes <= heldBytes);
  const payload = 'y'.repeat(150_000);
  t.is(textOf(await api.client(MODEST).ask(request(payload))), payload);
  t.regex(failureOf(await begun[1]!.reply()), /holds as much as it may/u);
  t.false(begun[0]!.isAhead || begun[2]!.isAhead);
  begun[1]!.send('the rest of it');
  t.is(textOf(await begun[1]!.ask(request('good'))), 'good');
  t.is(api.counters.outcomes.overloaded, 1);
});

const LARGE = Buffer.alloc(300_000);

async function answerAtLength(): Promise<Answer> {
  return delivered(LARGE.toString('base64'));
}

/** Asks for an answer of the large one, which has room only instead of a line that has begun. */
async function askWhereALineHasBegun(t: ExecutionContext, setup: ApiSetup): Promise<void> {
  const { api, client, counters } = startApi(t, setup);
  const begun = client(GREEDY);
  begun.socket.write('x'.repeat(900_000));
  await once(begun.socket, 'drain');
  await until(
    '900,000 held bytes',
    async () => api.memory.bytes,
    (bytes) => bytes >= 900_000,
  );
  t.true((await client(MODEST).ask(request('small'))).payload === LARGE.toString('base64'));
  t.regex(failureOf(await begun.reply()), /holds as much as it may/u);
  t.is(counters.outcomes.delivered, 1);
}

test('an answer that finds no room has it of lines that have only begun', async (t) => {
  await askWhereALineHasBegun(t, { deliver: answerAtLength, memory: new HeldMemory(1_100_000) });
});

test('so has what comes of the answer of a workload', async (t) => {
  const memory = new HeldMemory(1_100_000);
  const { url } = await startWorkload(t, (_body, response) => response.end(LARGE));
  const taker = new HttpTaker({ url, timeoutMs: 5_000, memory });
  t.teardown(() => taker.close());
  await askWhereALineHasBegun(t, { deliver: (message, from) => taker.take(message, from), memory });
});

test('and what comes of the answer of another sidecar', async (t) => {
  const memory = new HeldMemory(1_100_000);
  const { port } = startApi(t, { deliver: answerAtLength });
  const peers = new Peers({ ...DEFAULT_PEERS, memory });
  t.teardown(() => peers.close());
  const deliver = async (): Promise<Answer> => {
    const line = Buffer.from(`${JSON.stringify({ ...request('small'), hops: 1 })}\n`);
    const sent = await peers.send({ id: HOST, address: HOST, port }, line, performance.now() + 5_000);
    return sent.kind === 'answered' ? sent.answer : failed('lost', sent.why);
  };
  await askWhereALineHasBegun(t, { deliver, memory });
});

test('however many lines wait to be taken, they leave room for messages of others', async (t) => {
  const limits = { maxConnections: 40, heldBytes: 1_000_000 };
  const { api, client, counters } = startApi(t, { limits });
  for (let count = 0; count < 30; count++) {
    const { socket } = client(GREEDY);
    const send = (): boolean => socket.write(Buffer.alloc(128 * 1024, '\n'));
    socket.on('drain', send);
    send();
  }
  await until(
    '300,000 held bytes',
    async () => api.memory.bytes,
    (bytes) => bytes > 300_000,
  );
  const modest = client(MODEST);
  for (let count = 0; count < 50; count++) {
    t.is(textOf(await modest.ask(request('x'.repeat(100_000)))), '{"status":"received"}');
    t.true(api.memory.bytes <= limits.heldBytes / 2, `${api.memory.bytes}`);
  }
  t.is(counters.outcomes.overloaded, 0);
});
