import test from 'ava';
import { type Answer, delivered } from '../../sidecar/message/answer.ts';
import { until, within } from '../until.ts';
import { failureOf, request, startApi } from './harness.ts';

// What somebody can make a sidecar hold who has no good in mind.

/**
 * `taken` resolves once the message is delivered, which is answered with `answer`. Held bytes do not say so: they may
 * be those of a line that is still being read.
 */
function oneDelivery() {
  const taken = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Answer>();
  const deliver = (): Promise<Answer> => {
    taken.resolve();
    return answer.promise;
  };
  return { deliver, taken, answer };
}

test('a message whose sender has left is held, and counted, until it is answered', async (t) => {
  const { deliver, taken, answer } = oneDelivery();
  const { client, api } = startApi(t, { deliver, limits: { heldBytes: 300_000 } });
  const gone = client();
  gone.send(request('x'.repeat(150_000)));
  await within('the delivery of the message', taken.promise);
  t.true(api.memory.bytes >= 200_000);
  gone.socket.resetAndDestroy();
  await until(
    'no open connection',
    async () => api.openConnections,
    (count) => count === 0,
  );
  t.regex(failureOf(await client().ask(request('x'.repeat(150_000)))), /holds as much as it may/u);
  answer.resolve(delivered(''));
  await until(
    'no held bytes',
    async () => api.memory.bytes,
    (bytes) => bytes === 0,
  );
});

test('the answer for a sender who has left takes no room', async (t) => {
  const { deliver, taken, answer } = oneDelivery();
  const { client, api, counters } = startApi(t, { deliver, limits: { heldBytes: 900_000 } });
  const [gone, begun] = [client(), client()];
  gone.send(request('small'));
  await within('the delivery of the message', taken.promise);
  begun.socket.write('x'.repeat(300_000));
  await until(
    '300,000 held bytes',
    async () => api.memory.bytes,
    (bytes) => bytes >= 300_000,
  );
  gone.socket.resetAndDestroy();
  await until(
    '1 open connection',
    async () => api.openConnections,
    (count) => count === 1,
  );
  answer.resolve(delivered(Buffer.alloc(750_000).toString('base64')));
  await until(
    'the outcome of the message',
    async () => counters.outcomes.delivered + counters.outcomes['bad-answer'],
    (count) => count === 1,
  );
  t.is(counters.outcomes.delivered, 1);
  t.is(counters.outcomes.overloaded, 0);
});

test('answers that nobody reads are left out when there is no more room for them', async (t) => {
  const heldBytes = 4_000_000;
  const ready = Promise.withResolvers<void>();
  const large = delivered(Buffer.alloc(750_000).toString('base64'));
  let delivering = 0;
  const deliver = async (): Promise<Answer> => {
    delivering++;
    await ready.promise;
    return large;
  };
  const { client, api, counters } = startApi(t, { deliver, limits: { heldBytes, outstanding: 16 } });
  const clients = [client(), client(), client()];
  for (const { socket } of clients) {
    socket.pause();
    for (let index = 0; index < 16; index++) socket.write(`${JSON.stringify(request('small'))}\n`);
  }
  await until(
    'all 48 messages are on their way',
    () => delivering,
    (count) => count === 48,
  );
  ready.resolve();
  await until(
    'the outcomes of all 48 messages',
    async () => counters.outcomes.delivered + counters.outcomes['bad-answer'],
    (count) => count === 48,
  );
  t.true(api.memory.bytes <= heldBytes + 48 * 2_048);
  t.true(counters.outcomes['bad-answer'] > 0);
  for (const one of clients) one.socket.resume();
  const replies = await Promise.all(clients.flatMap((one) => Array.from({ length: 16 }, () => one.reply())));
  t.is(replies.filter(({ payload }) => payload === large.payload).length, counters.outcomes.delivered);
  const left = replies.find(({ payload }) => payload !== large.payload);
  t.regex(failureOf(left!), /^the message was delivered; this sidecar holds as much as it may/u);
});
