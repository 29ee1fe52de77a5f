import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { type Answer, delivered } from '../../sidecar/message/answer.ts';
import type { Message } from '../../sidecar/message/protocol.ts';
import { LONGEST_LINE } from '../../sidecar/message/protocol.ts';
import { until } from '../until.ts';
import { Client, failureOf, request, startApi, textOf } from './harness.ts';

// What somebody sees who talks with the message API, whatever becomes of the messages.

const VERBATIM =
  '{"service":"test-proxy2.cortexflow","direction":"Incoming","payload":"eyJwYXlsb2FkIjogIkhlbGxvIGZyb20gcHJveHktc2lkZWNhciJ9"}';

async function echo({ payload }: Message): Promise<Answer> {
  return delivered(payload);
}

test('a message is answered in a line of the documented form', async (t) => {
  const { client, counters } = startApi(t, {});
  const one = client();
  one.send(VERBATIM);
  t.is(
    await one.line(),
    '{"payload":"eyJzdGF0dXMiOiJyZWNlaXZlZCJ9","service":"test-proxy2.cortexflow","direction":"Outcoming"}',
  );
  t.is(counters.outcomes.received, 1);
});

test('whoever sends its end is answered, and then the connection closes; a last line needs no end', async (t) => {
  const { client } = startApi(t, {});
  const one = client();
  one.socket.end(`${VERBATIM}\n${VERBATIM}`);
  t.is((await one.reply()).service, 'test-proxy2.cortexflow');
  t.is((await one.reply()).service, 'test-proxy2.cortexflow');
  t.is(await one.ending, 'end');
});

test('replies come in the order of the requests, however long each takes', async (t) => {
  const first = Promise.withResolvers<Answer>();
  const deliver = async ({ payload }: Message): Promise<Answer> =>
    payload === Buffer.from('slow').toString('base64') ? first.promise : delivered(payload);
  const { client } = startApi(t, { deliver });
  const one = client();
  one.send(request('slow'), request('fast'), '{', request('faster'));
  const other = client();
  t.is(textOf(await other.ask(request('another'))), 'another');
  t.false(one.isAhead);
  first.resolve(delivered(Buffer.from('slow').toString('base64')));
  t.is(textOf(await one.reply()), 'slow');
  t.is(textOf(await one.reply()), 'fast');
  t.regex(failureOf(await one.reply()), /not a JSON object/u);
  t.is(textOf(await one.reply()), 'faster');
});

test('after every kind of mistake the connection is as good as before; mistakes are counted and logged', async (t) => {
  const { client, counters, log } = startApi(t, {});
  const one = client();
  const mistakes: readonly (readonly [object | string, RegExp])[] = [
    ['not json', /^the line is not a JSON object/u],
    [{ ...request('a'), direction: undefined }, /^direction is missing/u],
    [{ ...request('a'), direction: 'Outcoming' }, /^direction is "Outcoming"/u],
    [{ ...request('a'), payload: 'not base64' }, /^payload is not base64/u],
    [request('a', 'no/name'), /^service is "no\/name"/u],
    [`"${'x'.repeat(LONGEST_LINE + 1_000)}"`, /^the line is longer than 1048576 bytes/u],
  ];
  for (const [line, expected] of mistakes) {
    const reply = await one.ask(line);
    t.regex(failureOf(reply), expected);
    // Where nobody can tell whether a sidecar asked, one that did learns what it is.
    const more = failureOf(reply).startsWith('the line is') ? ['outcome'] : [];
    t.deepEqual(Object.keys(reply), ['payload', 'service', 'direction', ...more]);
    t.is(reply.direction, 'Outcoming');
    t.is(textOf(await one.ask(request('good'))), '{"status":"received"}');
  }
  for (const outcome of [
    'bad-json',
    'no-direction',
    'wrong-direction',
    'bad-payload',
    'bad-service',
    'too-large',
  ] as const) {
    t.is(counters.outcomes[outcome], 1, outcome);
    t.truthy(
      log.find(({ level, reason }) => level === 'warn' && reason === outcome),
      outcome,
    );
  }
  t.is(counters.outcomes.received, mistakes.length);
  t.is(counters.connections, 1);
});

test('a line of the longest comes through, byte for byte', async (t) => {
  const { client } = startApi(t, { deliver: echo });
  const around = JSON.stringify({ ...request(''), payload: '' }).length;
  const payload = Buffer.alloc(Math.floor((LONGEST_LINE - around) / 4) * 3, 'xyz').toString('base64');
  const line = JSON.stringify({ ...request(''), payload });
  t.true(line.length > LONGEST_LINE - 4 && line.length <= LONGEST_LINE);
  const reply = await client().ask(line);
  t.true(reply.payload === payload);
});

test('a sender may have a line of the longest, and a sidecar adds a little to it', async (t) => {
  const { client } = startApi(t, { deliver: echo });
  const around = JSON.stringify({ ...request(''), payload: '' }).length;
  const payload = 'A'.repeat(Math.ceil((LONGEST_LINE + 1 - around) / 4) * 4);
  const line = { ...request(''), payload };
  t.is(failureOf(await client().ask(line)), 'the line is longer than 1048576 bytes.');
  t.true((await client().ask({ ...line, hops: 1 })).payload === payload);
});

test('whoever speaks HTTP is told once that this is none, and nothing of it is taken', async (t) => {
  const { client, counters } = startApi(t, {});
  const body = `${VERBATIM}\n`;
  const headers = `Host: sidecar:5054\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`;
  const long = `POST /${'x'.repeat(2 * LONGEST_LINE)} HTTP/1.1\r\n`;
  for (const begin of [
    'POST / HTTP/1.1\r\n',
    'GET /a b HTTP/1.0\n',
    'PRI * HTTP/2.0\r\n\r\n',
    'host: x\r\n',
  ]) {
    const one = client();
    one.socket.write(begin + headers + body);
    t.regex(failureOf(await one.reply()), /^this port does not speak HTTP/u);
    t.is(await one.ending, 'end');
    t.false(one.isAhead);
  }
  const one = client();
  one.socket.write(long + headers + body);
  t.regex(failureOf(await one.reply()), /^the line is longer/u);
  t.regex(failureOf(await one.reply()), /^this port does not speak HTTP/u);
  t.is(await one.ending, 'end');
  t.is(counters.outcomes['bad-json'], 5);
  t.is(counters.outcomes.received, 0);
});

test('what is under way is answered before a connection ends on which HTTP came', async (t) => {
  const answer = Promise.withResolvers<Answer>();
  const { client, counters } = startApi(t, { deliver: () => answer.promise });
  const one = client();
  one.send(VERBATIM, 'GET / HTTP/1.1', VERBATIM);
  await until(
    'a line that is not JSON is counted',
    async () => counters.outcomes['bad-json'],
    (count) => count === 1,
  );
  answer.resolve(delivered(''));
  t.is(textOf(await one.reply()), '{"status":"received"}');
  t.regex(failureOf(await one.reply()), /^this port does not speak HTTP/u);
  t.is(await one.ending, 'end');
  t.is(counters.outcomes.delivered, 1);
});

test('a line that takes too long to come is told so, and its rest is passed over', async (t) => {
  const { client } = startApi(t, { limits: { lineTimeoutMs: 50 } });
  const one = client();
  one.socket.write('{"service":');
  const reply = await one.reply();
  t.is(failureOf(reply), 'the line took longer than 50 ms to come.');
  t.like(reply, { outcome: 'too-slow' });
  one.socket.write('"rest of it"}\n');
  t.is(textOf(await one.ask(request('good'))), '{"status":"received"}');
});

test('so it is while the sidecar is busy with other lines, and however many pieces it comes in', async (t) => {
  const { api, client } = startApi(t, { limits: { lineTimeoutMs: 400 } });
  let isBusy = true;
  t.teardown(() => (isBusy = false));
  api.round.enter({ takeLine: () => isBusy });
  const one = client();
  one.socket.write('{"service":');
  for (let pieces = 0; pieces < 1_000 && !one.isAhead; pieces++) {
    one.socket.write(' ');
    await delay(5);
  }
  t.true(one.isAhead);
  t.like(await one.reply(), { outcome: 'too-slow' });
});

test('a connection that has nothing to say is closed; one that waits for a reply is not', async (t) => {
  const answer = Promise.withResolvers<Answer>();
  const { client, counters } = startApi(t, {
    deliver: () => answer.promise,
    limits: { idleTimeoutMs: 1_500 },
  });
  const waiting = client();
  waiting.send(request('slow'));
  const idle = client();
  t.is(await idle.ending, 'end');
  await delay(1_600);
  answer.resolve(delivered(''));
  t.is(textOf(await waiting.reply()), '{"status":"received"}');
  t.is(await waiting.ending, 'end');
  t.is(counters.connections, 2);
});

test('so is one whose lines wait to be taken, but not before they are', async (t) => {
  const limits = { idleTimeoutMs: 500, messagesPerSecond: 20 };
  const { client, counters } = startApi(t, { limits });
  const one = client();
  for (let index = 0; index < 50; index++) one.send(request(`${index}`));
  t.is(await one.ending, 'end');
  t.is(counters.outcomes.received, 50);
});

test('one too many is told so and closed, and there is room again when one has left', async (t) => {
  const { client, api } = startApi(t, { limits: { maxConnections: 1 } });
  const one = client();
  await one.ask(request('good'));
  const two = client();
  t.is(failureOf(await two.reply()), '1 connections are open for messages, the most allowed.');
  t.is(await two.ending, 'end');
  two.socket.end();
  one.socket.end();
  t.is(await one.ending, 'end');
  await until(
    'no open connection',
    async () => api.openConnections,
    (open) => open === 0,
  );
  t.is(textOf(await client().ask(request('good'))), '{"status":"received"}');
});

test('whoever sends is known by an address of its own family, wherever the sidecar listens', async (t) => {
  const from: string[] = [];
  const deliver = async (_: Message, address: string): Promise<Answer> => {
    from.push(address);
    return delivered('');
  };
  const { port } = startApi(t, { deliver, host: '::' });
  startApi(t, { deliver, host: '0.0.0.0', port });
  for (const host of ['::1', '127.0.0.1']) {
    const one = new Client(connect({ host, port }));
    await one.ask(request('from whom'));
    one.socket.destroy();
  }
  t.deepEqual(from, ['::1', '127.0.0.1']);
});

test('messages beyond the rate wait', async (t) => {
  const { client, counters } = startApi(t, { limits: { messagesPerSecond: 1 } });
  const one = client();
  // The last one is due in two minutes.
  for (let index = 0; index < 120; index += 1) one.send(request(`${index}`));
  await one.reply();
  for (let asked = 0; asked < 20; asked++) await client().ask(request('one of few'));
  t.true(counters.outcomes.received < 20 + 120);
});

test('of messages beyond the rate none is lost', async (t) => {
  const { client, counters } = startApi(t, { limits: { messagesPerSecond: 20 } });
  const one = client();
  for (let index = 0; index < 30; index += 1) one.send(request(`${index}`));
  for (let index = 0; index < 30; index += 1) await one.reply();
  t.is(counters.outcomes.received, 30);
});

test('no more messages are on their way at one time than may be', async (t) => {
  let most = 0;
  let now = 0;
  const deliver = async ({ payload }: Message): Promise<Answer> => {
    most = Math.max(most, (now += 1));
    await delay(1);
    now -= 1;
    return delivered(payload);
  };
  const { client } = startApi(t, { deliver, limits: { outstanding: 3 } });
  const one = client();
  for (let index = 0; index < 200; index += 1) one.send(request(`${index}`));
  for (let index = 0; index < 200; index += 1) t.is(textOf(await one.reply()), `${index}`);
  t.is(most, 3);
});

test('a client that never reads costs a bounded amount, and is reset in the end', async (t) => {
  const large = delivered(Buffer.alloc(512 * 1024).toString('base64'));
  let delivering = 0;
  const deliver = async (): Promise<Answer> => {
    delivering += 1;
    return large;
  };
  const { client, api } = startApi(t, { deliver, limits: { unreadTimeoutMs: 200 } });
  const one = client();
  one.socket.pause();
  for (let index = 0; index < 2_000; index += 1) one.send(request(`${index}`));
  let most = 0;
  await until(
    'deliveries, and then no open connection',
    async () => (most = Math.max(most, api.memory.bytes)),
    () => api.openConnections === 0 && delivering > 0,
  );
  // Besides what the kernel holds for it.
  t.true(delivering < 200, `${delivering}`);
  t.true(most <= 20 * large.payload.length, `${most}`);
  t.is(api.memory.bytes, 0);
});

test('a client that reads slowly is waited for as long as it reads', async (t) => {
  const large = delivered(Buffer.alloc(780_000).toString('base64'));
  const { client } = startApi(t, { deliver: async () => large, limits: { unreadTimeoutMs: 3_000 } });
  const one = client();
  one.socket.pause();
  for (let index = 0; index < 16; index += 1) one.send(request(`${index}`));
  let read = 0;
  one.socket.on('data', (chunk: Buffer) => {
    read += chunk.length;
    if (read < 1_000_000) return;
    read = 0;
    one.socket.pause();
    setTimeout(() => one.socket.resume(), 150);
  });
  setTimeout(() => one.socket.resume(), 150);
  for (let index = 0; index < 16; index += 1) {
    const line = await Promise.race([one.line(), one.ending]);
    t.true(line.includes(large.payload), line.slice(0, 100));
  }
});

test('what is held for all connections together is bounded: beyond it messages are turned away', async (t) => {
  const answers: PromiseWithResolvers<Answer>[] = [];
  const deliver = (): Promise<Answer> => {
    const answer = Promise.withResolvers<Answer>();
    answers.push(answer);
    return answer.promise;
  };
  const { client, counters } = startApi(t, { deliver, limits: { heldBytes: 300_000 } });
  const [one, two, three] = [client(), client(), client()];
  one.send(request('x'.repeat(150_000)));
  await until(
    'the first message is delivered',
    async () => answers.length,
    (length) => length === 1,
  );
  t.regex(failureOf(await two.ask(request('x'.repeat(150_000)))), /holds as much as it may/u);
  three.socket.write('x'.repeat(200_000));
  t.regex(failureOf(await three.reply()), /holds as much as it may/u);
  t.is(counters.outcomes.overloaded, 2);
  answers[0]!.resolve(delivered(''));
  await one.reply();
  two.send(request('x'.repeat(150_000)));
  await until(
    'the second message is delivered',
    async () => answers.length,
    (length) => length === 2,
  );
  answers[1]!.resolve(delivered(''));
  t.is(textOf(await two.reply()), '{"status":"received"}');
});

test('told to end, it answers what it has taken and closes; what never ends is cut', async (t) => {
  const answer = Promise.withResolvers<Answer>();
  const taken = Promise.withResolvers<void>();
  const deliver = (): Promise<Answer> => {
    taken.resolve();
    return answer.promise;
  };
  const { client, api } = startApi(t, { deliver });
  const [idle, waiting] = [client(), client()];
  await idle.ask('{');
  waiting.send(request('slow'));
  await taken.promise;
  const drained = api.drain(60_000);
  t.is(await idle.ending, 'end');
  idle.socket.end();
  answer.resolve(delivered(''));
  t.is(textOf(await waiting.reply()), '{"status":"received"}');
  t.is(await waiting.ending, 'end');
  waiting.socket.end();
  await drained;
});

test('what has not been answered when the time to end is over is cut', async (t) => {
  const answer = Promise.withResolvers<Answer>();
  const taken = Promise.withResolvers<void>();
  const deliver = (): Promise<Answer> => {
    taken.resolve();
    return answer.promise;
  };
  const { client, api } = startApi(t, { deliver });
  const one = client();
  one.send(request('for ever'));
  await taken.promise;
  await api.drain(20);
  t.is(await one.ending, 'ECONNRESET');
  answer.resolve(delivered(''));
  await answer.promise;
});
