import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { RECEIVED } from '../../sidecar/message/answer.ts';
import { until } from '../until.ts';
import { failureOf, request, startApi } from './harness.ts';

// The last replies on a connection reach whoever is still sending.

const LARGE = request('x'.repeat(700_000));

test('one too many learns of it however much it sends at once', async (t) => {
  const { client } = startApi(t, { limits: { maxConnections: 1 } });
  await client().ask(request('first'));
  for (let count = 0; count < 5; count++) {
    const one = client();
    one.send(LARGE);
    t.regex(failureOf(await one.reply()), /^1 connections are open for messages/u);
    t.is(await one.ending, 'end');
    one.socket.destroy();
  }
});

test('told to end, it answers what it has taken and nothing else, and whoever goes on sending sees an end', async (t) => {
  let taken = 0;
  const deliver = async () => {
    taken++;
    await delay(2);
    return RECEIVED;
  };
  const { client, api } = startApi(t, { deliver });
  const one = client();
  let replies = 0;
  one.socket.on('data', (chunk: Buffer) => (replies += chunk.toString().split('\n').length - 1));
  for (let count = 0; count < 400; count++) one.send(request('x'.repeat(15_000)));
  await until(
    'a message is delivered',
    async () => taken,
    (count) => count > 0,
  );
  const drained = api.drain(10_000);
  t.is(await one.ending, 'end');
  one.socket.end();
  await drained;
  t.true(taken < 400);
  t.is(replies, taken);
});

test('whoever does not close as well is waited for no longer than allowed', async (t) => {
  const { client, api } = startApi(t, { limits: { lingerMs: 50, idleTimeoutMs: 50 } });
  t.is(await client().ending, 'end');
  await until(
    'no open connection',
    async () => api.openConnections,
    (open) => open === 0,
  );
});

test('no more than a few are waited for: the oldest make room', async (t) => {
  const { client, api } = startApi(t, { limits: { maxConnections: 16, lingerMs: 60_000 } });
  for (let count = 0; count < 16; count++) await client().ask(request('stays'));
  for (let count = 0; count < 20; count++) t.is(await client().ending, 'end');
  // Two linger, and the last one came after room had been made.
  t.is(api.openConnections, 16 + 3);
});

test('who sends without end is not listened to for ever', async (t) => {
  const { client, api } = startApi(t, { limits: { maxConnections: 1, lingerMs: 60_000 } });
  await client().ask(request('first'));
  const one = client();
  const chunk = Buffer.alloc(1024 * 1024);
  const send = (): void => {
    while (one.socket.writable && one.socket.write(chunk));
  };
  one.socket.on('drain', send);
  send();
  t.regex(failureOf(await one.reply()), /the most allowed/u);
  await until(
    '1 open connection',
    async () => api.openConnections,
    (open) => open === 1,
  );
  t.true(one.socket.bytesWritten >= 16 * 1024 * 1024);
});
