import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { delivered } from '../../sidecar/message/answer.ts';
import { HeldMemory } from '../../sidecar/message/held-memory.ts';
import { HttpTaker, type HttpTakerOptions } from '../../sidecar/message/http-taker.ts';
import { LogTaker } from '../../sidecar/message/log-taker.ts';
import { LONGEST_ANSWER, replyLine } from '../../sidecar/message/protocol.ts';
import {
  failureOf,
  HOST,
  type Line,
  logInto,
  request,
  serviceAt,
  sharedPort,
  startSidecar,
  startWorkload,
  tableOf,
  textOf,
} from './harness.ts';

// Where messages end up, with sidecars on loopback addresses and workloads that behave well or badly.

const A = '127.0.0.2';
const B = '127.0.0.3';
const C = '127.0.0.4';
const DEAD = '127.0.0.9';

function taker(t: ExecutionContext, url: string, options: Partial<HttpTakerOptions> = {}): HttpTaker {
  const made = new HttpTaker({ url, timeoutMs: 5_000, ...options });
  t.teardown(() => made.close());
  return made;
}

/** Speaks TCP and whatever `serve` says, at a sidecar's address. */
async function startStranger(
  t: ExecutionContext,
  at: { host: string; port: number },
  serve: (socket: Socket) => void,
): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  }).listen(at.port, at.host);
  await once(server, 'listening');
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  });
}

test('to the workload: the payload as a body, with the Service and the sender, and its answer back', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t, (body, response) => response.end(`you said ${body.toString()}`));
  const table = tableOf(...serviceAt('hello', [A]));
  const { client, counters } = startSidecar(t, {
    table: () => table,
    address: A,
    port,
    taker: taker(t, workload.url),
  });
  const reply = await client().ask(request('hi there'));
  t.is(textOf(reply), 'you said hi there');
  t.is(reply.service, 'hello.demo');
  t.is(workload.taken[0]?.body, 'hi there');
  t.like(workload.taken[0]?.headers, {
    'cortexflow-service': 'hello.demo',
    'cortexflow-from': HOST,
    'content-type': 'application/octet-stream',
  });
  t.is(counters.outcomes.delivered, 1);
});

test('what the workload has begun to answer is counted, and left out where there is no room for it', async (t) => {
  const port = await sharedPort();
  const begun: ServerResponse[] = [];
  const workload = await startWorkload(t, (_body, response) => {
    response.write(Buffer.alloc(100_000));
    begun.push(response);
  });
  const table = tableOf(...serviceAt('hello', [A]));
  const memory = new HeldMemory(250_000);
  const { client } = startSidecar(t, {
    table: () => table,
    address: A,
    port,
    taker: taker(t, workload.url, { memory }),
  });
  const asked = Array.from({ length: 3 }, () => client().ask(request('hi')));
  t.regex(failureOf(await Promise.race(asked)), /finds no room.*the message was delivered\.$/u);
  for (const response of begun) response.end();
  await Promise.all(asked);
  t.is(memory.bytes, 0);
});

test('of where the workload takes messages its log has all, and senders are told the port and the path', async (t) => {
  const port = await sharedPort();
  const nobody = await sharedPort();
  const table = tableOf(...serviceAt('hello', [A]));
  const url = `http://${HOST}:${nobody}/messages?token=secret`;
  const { client, log } = startSidecar(t, { table: () => table, address: A, port, taker: taker(t, url) });
  const what = 'cannot be reached (ECONNREFUSED): the message was not delivered.';
  const reply = await client().ask(request('hi'));
  t.is(failureOf(reply), `the workload at port ${nobody}/messages ${what}`);
  t.is(log[0]?.['detail'], `${url} ${what}`);
});

test('an answer without a body says that it was received', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t, (_body, response) => response.writeHead(204).end());
  const table = tableOf(...serviceAt('hello', [A]));
  const { client } = startSidecar(t, { table: () => table, address: A, port, taker: taker(t, workload.url) });
  t.is(textOf(await client().ask(request('hi'))), '{"status":"received"}');
});

test('a workload that fails, is away, breaks off or says too much: each is told, and nothing is sent twice', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t, (body, response) => {
    switch (body.toString()) {
      case 'fail':
        response.writeHead(503).end('not now');
        break;
      case 'break':
        response.socket?.destroy();
        break;
      case 'break later':
        response.writeHead(200, { 'content-length': '100' }).write('half', () => response.socket?.destroy());
        break;
      case 'too much':
        response.end(Buffer.alloc(LONGEST_ANSWER + 1));
        break;
      case 'upgrade':
        response.socket?.end('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n');
        break;
      default:
        response.end(body);
    }
  });
  const table = tableOf(...serviceAt('hello', [A]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port, taker: taker(t, workload.url) });
  const one = sidecar.client();
  const failures = [
    ['fail', /answered with status 503\.$/u],
    ['upgrade', /answered with status 101\.$/u],
    ['break', /did not answer \(ECONNRESET\): the message may have been delivered\.$/u],
    ['break later', /broke off: the message was delivered\.$/u],
    ['too much', /is longer than \d+ bytes: the message was delivered\.$/u],
  ] as const;
  for (const [body, expected] of failures) {
    t.regex(failureOf(await one.ask(request(body))), expected);
    t.is(textOf(await one.ask(request('good'))), 'good');
  }
  t.is(workload.taken.length, 2 * failures.length);
  t.like(sidecar.counters.outcomes, { delivered: 5, refused: 2, lost: 1, 'bad-answer': 2 });

  const away = `http://${HOST}:${await sharedPort()}/`;
  const other = await sharedPort();
  const alone = startSidecar(t, { table: () => table, address: A, port: other, taker: taker(t, away) });
  t.regex(
    failureOf(await alone.client().ask(request('hi'))),
    /cannot be reached \(ECONNREFUSED\): the message was not delivered\.$/u,
  );
});

test('a workload gets no more at one time than it may, and who waits too long in vain is told', async (t) => {
  const port = await sharedPort();
  let now = 0;
  let most = 0;
  const workload = await startWorkload(t, (body, response) => {
    most = Math.max(most, (now += 1));
    setTimeout(() => {
      now -= 1;
      response.end(body);
    }, 5);
  });
  const table = tableOf(...serviceAt('hello', [A]));
  const slow = taker(t, workload.url, { concurrency: 2, maxWaiting: 5 });
  const { client, counters } = startSidecar(t, { table: () => table, address: A, port, taker: slow });
  const one = client();
  for (let index = 0; index < 10; index += 1) one.send(request(`${index}`));
  for (let index = 0; index < 10; index += 1) await one.reply();
  t.is(most, 2);
  t.like(counters.outcomes, { delivered: 7, overloaded: 3 });
});

test('a message that cannot be posted leaves its place to the next', async (t) => {
  const workload = await startWorkload(t);
  const to = taker(t, workload.url, { concurrency: 1 });
  const message = { service: 'demo/hello', payload: '', hops: 0, from: undefined };
  await t.throwsAsync(to.take(message, 'no\nheader'), { code: 'ERR_INVALID_CHAR' });
  t.is((await to.take(message, HOST)).outcome, 'delivered');
});

test('a workload may take longer to answer than its connections are kept', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(
    t,
    (body, response) => void setTimeout(() => response.end(body), 1_500),
  );
  const table = tableOf(...serviceAt('hello', [A]));
  const { client } = startSidecar(t, {
    table: () => table,
    address: A,
    port,
    taker: taker(t, workload.url),
  });
  t.is(textOf(await client().ask(request('slowly'))), 'slowly');
});

test('who has waited for too long is told that the message was not delivered', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t, () => {});
  const table = tableOf(...serviceAt('hello', [A]));
  const stuck = taker(t, workload.url, { concurrency: 1, timeoutMs: 2_000 });
  const { client, counters } = startSidecar(t, { table: () => table, address: A, port, taker: stuck });
  const one = client();
  one.send(request('first'), request('second'));
  t.regex(
    failureOf(await one.reply()),
    /did not answer \(no answer in 2000 ms\): the message may have been/u,
  );
  t.regex(failureOf(await one.reply()), /more messages waiting for it than it answers: the message was not/u);
  t.is(workload.taken.length, 1);
  t.like(counters.outcomes, { lost: 1, overloaded: 1 });
});

test('with nobody declared to take messages they are acknowledged and logged', async (t) => {
  const port = await sharedPort();
  const lines: Line[] = [];
  const table = tableOf(...serviceAt('hello', [A]));
  const { client, counters } = startSidecar(t, {
    table: () => table,
    address: A,
    port,
    taker: new LogTaker(logInto(lines)),
  });
  t.is(textOf(await client().ask(request('hi'))), '{"status":"received"}');
  t.like(lines[0], {
    level: 'info',
    message: 'Received a message.',
    service: 'hello.demo',
    from: HOST,
    bytes: 2,
  });
  t.is(counters.outcomes.received, 1);
});

test('a message for another Service goes through the mesh to a sidecar that serves it', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t);
  const table = tableOf(...serviceAt('hello', [B, C]), ...serviceAt('here', [A]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const others = [B, C].map((address) =>
    startSidecar(t, { table: () => table, address, port, taker: taker(t, workload.url) }),
  );
  const one = sidecar.client();
  for (let index = 0; index < 40; index += 1) t.is(textOf(await one.ask(request(`${index}`))), `${index}`);
  t.is(sidecar.counters.outcomes.delivered, 40);
  t.true(others.every(({ counters }) => counters.outcomes.delivered > 0));
  t.is(workload.taken.length, 40);
  t.true(workload.taken.every(({ headers }) => headers['cortexflow-from'] === HOST));
  // One message after another needs one connection to each.
  t.true(sidecar.peers.openConnections <= 2);
});

test('a Service that is gone is forgotten', async (t) => {
  const port = await sharedPort();
  let table = tableOf(...serviceAt('gone', [B]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const other = tableOf(...serviceAt('gone', [B]), ...serviceAt('new', [B]));
  startSidecar(t, { table: () => other, address: B, port });
  const one = sidecar.client();
  const remembered = (name: string) => [...sidecar.balancer.loads(`demo/${name}`)].length;
  t.is(textOf(await one.ask(request('1', 'gone.demo'))), '1');
  t.is(remembered('gone'), 1);
  table = tableOf(...serviceAt('new', [B]));
  t.is(textOf(await one.ask(request('2', 'new.demo'))), '2');
  t.deepEqual([remembered('gone'), remembered('new')], [0, 1]);
});

test('what another sidecar has to tell of a failure reaches the sender as it is', async (t) => {
  const port = await sharedPort();
  const workload = await startWorkload(t, (_body, response) => response.writeHead(500).end());
  const table = tableOf(...serviceAt('hello', [B]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  startSidecar(t, { table: () => table, address: B, port, taker: taker(t, workload.url) });
  const reply = await sidecar.client().ask(request('hi'));
  t.regex(failureOf(reply), /answered with status 500\.$/u);
  t.deepEqual(Object.keys(reply), ['payload', 'service', 'direction']);
  t.is(sidecar.counters.outcomes.refused, 1);
  t.like(sidecar.log[0], {
    level: 'warn',
    reason: 'refused',
    detail: `the sidecar at ${B}:${port} says so: its log has the reason.`,
  });
});

test('a sidecar that has no room for one more connection has not taken the message', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [B]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const full = startSidecar(t, { table: () => table, address: B, port, limits: { maxConnections: 1 } });
  await full.client().ask(request('first'));
  // It says so before it has read the message, and breaks off a long one.
  for (const length of [2, 700_000, 700_000]) {
    t.is(
      failureOf(await sidecar.client().ask(request('x'.repeat(length)))),
      '1 connections are open for messages, the most allowed.',
    );
  }
  t.is(sidecar.counters.outcomes.overloaded, 3);
});

test('a sidecar that does not accept is left out: another gets the message, once', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [DEAD, B]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const other = startSidecar(t, { table: () => table, address: B, port });
  const one = sidecar.client();
  for (let index = 0; index < 20; index += 1) t.is(textOf(await one.ask(request(`${index}`))), `${index}`);
  t.is(other.counters.outcomes.delivered, 20);

  const nobody = tableOf(...serviceAt('hello', [DEAD]));
  const alone = startSidecar(t, { table: () => nobody, address: C, port });
  t.is(
    failureOf(await alone.client().ask(request('hi'))),
    `the sidecar at ${DEAD}:${port} did not accept (ECONNREFUSED): the message was not delivered.`,
  );
});

test('once it was written no other sidecar gets it: the sender is told that nobody knows', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [DEAD, B]));
  const first = tableOf(...serviceAt('hello', [DEAD]));
  let current = first;
  const sidecar = startSidecar(t, { table: () => current, address: A, port });
  const other = startSidecar(t, { table: () => table, address: B, port });
  await startStranger(t, { host: DEAD, port }, (socket) => {
    socket.once('data', (chunk: Buffer) => {
      const { payload } = JSON.parse(chunk.toString()) as { payload: string };
      if (Buffer.from(payload, 'base64').toString() === 'reset') socket.resetAndDestroy();
      else if (Buffer.from(payload, 'base64').toString() === 'end') socket.end();
      else socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
  });
  const one = sidecar.client();
  t.regex(
    failureOf(await one.ask(request('reset'))),
    /broke off the connection \(ECONNRESET\): the message may have been delivered\.$/u,
  );
  t.regex(
    failureOf(await one.ask(request('end'))),
    /closed the connection without an answer: the message may have been/u,
  );
  t.regex(
    failureOf(await one.ask(request('strange'))),
    /answered with something that is no reply: the message may/u,
  );
  t.is(other.counters.connections, 0);
  current = table;
  t.is(textOf(await one.ask(request('good'))), 'good');
  t.is(sidecar.counters.outcomes.lost, 3);
});

test('a sidecar that answers nothing is waited for as long as its workload may take, and no longer', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [DEAD]));
  const { client } = startSidecar(t, {
    table: () => table,
    address: A,
    port,
    limits: { deliveryTimeoutMs: 1_000 },
  });
  await startStranger(t, { host: DEAD, port }, (socket) => socket.resume());
  const message = JSON.stringify({ ...request('hi'), hops: 3 });
  const reply = await client().ask(message);
  t.regex(failureOf(reply), /did not answer in time: the message may have been delivered\.$/u);
});

test('a sidecar that may have to wait for word of the Service is given the time for that as well', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [DEAD]));
  const { client } = startSidecar(t, {
    table: () => table,
    address: A,
    port,
    limits: { deliveryTimeoutMs: 100 },
    endpointsWaitMs: 10_000,
  });
  const answer = replyLine('demo/hello', delivered(''), true);
  await startStranger(t, { host: DEAD, port }, (socket) =>
    socket.once('data', () => setTimeout(() => socket.write(answer), 1_500)),
  );
  const reply = await client().ask(JSON.stringify({ ...request('hi'), hops: 3 }));
  t.is(textOf(reply), '{"status":"received"}');
});

test('sidecars that disagree about who serves do not pass a message on for ever', async (t) => {
  const port = await sharedPort();
  const sidecars = [
    [A, B],
    [B, A],
  ].map(([address = '', next = '']) => {
    const table = tableOf(...serviceAt('hello', [next]));
    return startSidecar(t, { table: () => table, address, port });
  });
  const reply = await sidecars[0]!.client().ask(request('hi'));
  t.regex(failureOf(reply), /has been forwarded 4 times without arriving/u);
  t.is(sidecars[0]!.counters.forwarded + sidecars[1]!.counters.forwarded, 4);
});

test('what the mesh does not have is told, each for its reason', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('empty', []), ...serviceAt('outside', [B], { inMesh: false }));
  const { client, counters } = startSidecar(t, { table: () => table, address: A, port });
  const one = client();
  t.is(
    failureOf(await one.ask(request('hi', 'nobody'))),
    'Service cortexflow/nobody is not in the mesh: check its name and namespace.',
  );
  t.regex(failureOf(await one.ask(request('hi', 'empty.demo'))), /^Service demo\/empty has no endpoints/u);
  t.regex(failureOf(await one.ask(request('hi', 'outside.demo'))), /none has a sidecar to take messages\.$/u);
  t.like(counters.outcomes, { 'unknown-service': 1, 'no-endpoints': 2 });
});

test('connections to other sidecars are used again, also after one has died', async (t) => {
  const port = await sharedPort();
  const table = tableOf(...serviceAt('hello', [B]));
  const sidecar = startSidecar(t, { table: () => table, address: A, port });
  const other = startSidecar(t, { table: () => table, address: B, port });
  const one = sidecar.client();
  for (let index = 0; index < 10; index += 1) await one.ask(request(`${index}`));
  t.is(other.counters.connections, 1);
  await other.api.drain(0);
  await delay(20);
  t.is(sidecar.peers.openConnections, 0);
  t.regex(
    failureOf(await one.ask(request('hi'))),
    /did not accept \(ECONNREFUSED\): the message was not delivered\.$/u,
  );
  startSidecar(t, { table: () => table, address: B, port });
  t.is(textOf(await one.ask(request('back'))), 'back');
});
