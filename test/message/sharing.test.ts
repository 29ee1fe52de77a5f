import { once } from 'node:events';
import test from 'ava';
import { type Answer, delivered } from '../../sidecar/message/answer.ts';
import { until } from '../system/programs.ts';
import { type Client, failureOf, request, type RunningApi, startApi, textOf } from './harness.ts';

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
    const one = api.client(GREEDY);
    one.socket.write('x'.repeat(length));
    begun.push(one);
    const wanted = lengths.slice(0, begun.length).reduce((sum, each) => sum + each, 0);
    await until(
      async () => memory.bytes,
      (bytes) => bytes >= wanted,
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

test('an answer that finds no room has it of lines that have only begun', async (t) => {
  const heldBytes = 1_100_000;
  const large = delivered(Buffer.alloc(300_000).toString('base64'));
  const api = startApi(t, { deliver: async () => large, limits: { heldBytes } });
  const begun = api.client(GREEDY);
  begun.socket.write('x'.repeat(900_000));
  await once(begun.socket, 'drain');
  await until(
    async () => api.api.memory.bytes,
    (bytes) => bytes >= 900_000,
  );
  t.is((await api.client(MODEST).ask(request('small'))).payload.length, large.payload.length);
  t.regex(failureOf(await begun.reply()), /holds as much as it may/u);
});
