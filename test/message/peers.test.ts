import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { delivered, failed } from '../../sidecar/message/answer.ts';
import { HeldMemory } from '../../sidecar/message/held-memory.ts';
import type { Sent } from '../../sidecar/message/peer-connection.ts';
import { DEFAULT_PEERS, Peers, type PeersOptions } from '../../sidecar/message/peers.ts';
import { LONGEST_ANSWER, replyLine } from '../../sidecar/message/protocol.ts';
import { until } from '../until.ts';
import { HOST } from './harness.ts';

// Connections to other sidecars, seen from the one that makes them.

interface Other {
  readonly to: { readonly id: string; readonly address: string; readonly port: number };
  readonly sockets: Set<Socket>;
  readonly close: () => Promise<void>;
}

async function startOther(t: ExecutionContext, serve: (socket: Socket) => void): Promise<Other> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  }).listen(0, HOST);
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  t.teardown(close);
  const { port } = server.address() as { port: number };
  return { to: { id: `${HOST}:${port}`, address: HOST, port }, sockets, close };
}

function peersOf(t: ExecutionContext, options: Partial<PeersOptions> = {}): Peers {
  const peers = new Peers({ ...DEFAULT_PEERS, ...options });
  t.teardown(() => peers.close());
  return peers;
}

const LINE = Buffer.from('{}\n');
const REPLY = replyLine('demo/hello', delivered(''), true);

function inMs(ms: number): number {
  return performance.now() + ms;
}

function answers(socket: Socket): void {
  socket.on('data', () => socket.write(REPLY));
}

/** So a connection can be opened before time counts, however long that takes on a busy machine. */
function answersOnce(socket: Socket): void {
  socket.once('data', () => {
    socket.write(REPLY);
    socket.resume();
  });
}

function whyOf(sent: Sent): string {
  return sent.kind === 'answered' ? sent.kind : `${sent.kind}: ${sent.why}`;
}

test('those that wait for a connection are told when their time is over, and others at once', async (t) => {
  const { to } = await startOther(t, answersOnce);
  const peers = peersOf(t, { maxConnections: 1, maxWaiting: 1 });
  t.is(whyOf(await peers.send(to, LINE, inMs(10_000))), 'answered');
  const sent = await Promise.all([300, 100, 100].map((ms) => peers.send(to, LINE, inMs(ms))));
  t.deepEqual(sent.map(whyOf), [
    'lost: did not answer in time',
    'not-sent: had no connection free in time',
    'not-sent: cannot be given more: too many messages are on their way',
  ]);
});

test('those that wait for a sidecar that accepts nobody are told with the first that it does not', async (t) => {
  const { to, close } = await startOther(t, () => {});
  await close();
  const peers = peersOf(t, { maxConnections: 2 });
  const sent = await Promise.all(Array.from({ length: 6 }, () => peers.send(to, LINE, inMs(10_000))));
  const refused = 'not-sent: did not accept (ECONNREFUSED)';
  t.deepEqual(
    sent.map(whyOf),
    Array.from({ length: 6 }, () => refused),
  );
});

test('connections to all sidecars are bounded: one that rests gives way, one in use does not', async (t) => {
  const one = await startOther(t, answers);
  const two = await startOther(t, answers);
  const silent = await startOther(t, answersOnce);
  const peers = peersOf(t, { maxAllConnections: 1 });
  for (const { to } of [one, two, one, silent])
    t.is(whyOf(await peers.send(to, LINE, inMs(10_000))), 'answered');
  t.is(peers.openConnections, 1);
  const waiting = peers.send(silent.to, LINE, inMs(200));
  t.is(
    whyOf(await peers.send(one.to, LINE, inMs(10_000))),
    'not-sent: cannot be given more: too many messages are on their way',
  );
  t.is(whyOf(await waiting), 'lost: did not answer in time');
  t.is(whyOf(await peers.send(one.to, LINE, inMs(10_000))), 'answered');
});

test('one connection carries one message after another; one that rests for long is closed', async (t) => {
  let accepted = 0;
  const { to, sockets } = await startOther(t, (socket) => {
    accepted += 1;
    socket.on('data', () => socket.write(REPLY));
  });
  const peers = peersOf(t, { maxConnections: 1, idleTimeoutMs: 50 });
  const sent = await Promise.all(Array.from({ length: 50 }, () => peers.send(to, LINE, inMs(10_000))));
  t.true(sent.every(({ kind }) => kind === 'answered'));
  t.is(accepted, 1);
  await until(
    'no open connection on either side',
    async () => sockets.size + peers.openConnections,
    (open) => open === 0,
  );
});

test('what a sidecar says without having read the line: its outcome, or that it is full where it names none', async (t) => {
  for (const [outcome, isPeer] of [
    ['too-slow', true],
    ['overloaded', false],
  ] as const) {
    const reply = replyLine('', failed(outcome, 'it says.'), isPeer);
    const { to } = await startOther(t, (socket) => socket.end(reply));
    t.like(await peersOf(t).send(to, LINE, inMs(10_000)), { kind: 'answered', answer: { outcome } });
  }
});

test('a sidecar that says more than it was asked is not listened to any longer', async (t) => {
  const { to, sockets } = await startOther(t, (socket) =>
    socket.on('data', () => socket.write(REPLY + REPLY)),
  );
  const peers = peersOf(t);
  t.is(whyOf(await peers.send(to, LINE, inMs(10_000))), 'answered');
  await until(
    'no open connection on either side',
    async () => sockets.size + peers.openConnections,
    (open) => open === 0,
  );
});

test('a message and its answer of the longest go through', async (t) => {
  const answer = delivered(Buffer.alloc(LONGEST_ANSWER).toString('base64'));
  const { to } = await startOther(t, (socket) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.at(-1) === 0x0a) socket.write(replyLine('demo/hello', answer, true));
    });
  });
  const line = Buffer.alloc(1024 * 1024, 'x');
  line[line.length - 1] = 0x0a;
  const sent = await peersOf(t).send(to, line, inMs(20_000));
  t.true(sent.kind === 'answered' && sent.answer.payload === answer.payload);
});

/** More than the kernel takes while nobody reads. */
const LONG_LINE = Buffer.alloc(32 * 1024 * 1024, 'x');

test('what was not written whole was not sent, however that ended', async (t) => {
  const resets = await startOther(t, (socket) => void setTimeout(() => socket.resetAndDestroy(), 50));
  const peers = peersOf(t);
  const { kind } = await peers.send(resets.to, LONG_LINE, inMs(60_000));
  t.is(kind, 'not-sent');
  const sleeps = await startOther(t, (socket) => {
    socket.once('data', (chunk: Buffer) => {
      socket.pause();
      if (chunk.equals(LINE)) socket.write(REPLY);
    });
  });
  t.is(whyOf(await peers.send(sleeps.to, LINE, inMs(10_000))), 'answered');
  const late = peers.send(sleeps.to, LONG_LINE, inMs(200));
  t.is(whyOf(await late), 'not-sent: did not answer in time');
  const ending = peers.send(sleeps.to, LONG_LINE, inMs(60_000));
  await until(
    'an open connection at the other sidecar',
    async () => sleeps.sockets.size,
    (open) => open > 0,
  );
  peers.close();
  t.is(whyOf(await ending), 'not-sent: was given up, as this sidecar is ending');
});

test('wherever a sidecar breaks off: what it has whole is not said to be not sent', async (t) => {
  const line = Buffer.alloc(1024 * 1024, 'x');
  let limit = 0;
  let hasAll = false;
  const { to } = await startOther(t, (socket) => {
    let length = 0;
    socket.on('data', (chunk: Buffer) => {
      length += chunk.length;
      hasAll = length === line.length;
      if (length >= limit) socket.resetAndDestroy();
    });
  });
  const peers = peersOf(t);
  for (limit = 0; limit <= line.length; limit += 16_384) {
    hasAll = false;
    const { kind } = await peers.send(to, line, inMs(60_000));
    t.true(kind === 'lost' || (kind === 'not-sent' && !hasAll));
  }
});

test('at the end, who waits for an answer is told that nobody knows', async (t) => {
  const { to, sockets } = await startOther(t, (socket) => socket.resume());
  const peers = peersOf(t);
  const sent = peers.send(to, LINE, inMs(60_000));
  await until(
    '1 open connection',
    async () => sockets.size,
    (open) => open === 1,
  );
  peers.close();
  t.is(whyOf(await sent), 'lost: was given up, as this sidecar is ending');
  t.is(
    whyOf(await peers.send(to, LINE, inMs(60_000))),
    'not-sent: was given up, as this sidecar is ending',
    'nor is one opened for who comes later',
  );
  t.is(peers.openConnections, 0);
});

test('what other sidecars have begun to answer is counted, and given up where there is no room for it', async (t) => {
  const memory = new HeldMemory(300_000);
  const { to } = await startOther(t, (socket) => socket.write('x'.repeat(100_000)));
  const peers = peersOf(t, { memory });
  const sent = Array.from({ length: 8 }, () => peers.send(to, LINE, inMs(10_000)));
  const first = await Promise.race(sent);
  t.is(whyOf(first), 'lost: answers at length, and this sidecar holds as much as it may of all connections');
  await until(
    '100,000 held bytes',
    async () => memory.bytes,
    (bytes) => bytes >= 100_000,
  );
  peers.close();
  await Promise.all(sent);
  t.is(memory.bytes, 0);
});
