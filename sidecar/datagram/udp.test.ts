import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { until } from '../../test/until.ts';
import type { DatagramReceiver, Datagrams, DatagramSocket, OpenedSocket, Peer } from './socket.ts';
import { systemCalls } from './system-calls.ts';
import { Udp } from './udp.ts';

// Each with the kernel's calls for many datagrams, where they can be called, and without them.

const LONGEST = 65_507;

interface Way {
  readonly name: string;
  readonly udp: Udp;
}

const ways: readonly Way[] = [
  { name: 'one at a time', udp: new Udp(undefined) },
  ...(systemCalls() === undefined ? [] : [{ name: 'many at a time', udp: new Udp() }]),
];

test('on Linux the calls for many can be called', (t) => {
  t.is(systemCalls() !== undefined, process.platform === 'linux');
});

for (const { name, udp } of ways) {
  for (const host of ['127.0.0.1', '::1']) {
    test(`${name}, ${host}: datagrams come and go as they are, each by itself and in order`, async (t) => {
      const server = bound(t, udp, host, (datagrams, socket) => {
        for (let index = 0; index < datagrams.count; index++) {
          socket.reply(index, datagrams.data.subarray(datagrams.start(index), datagrams.end(index)));
        }
      });
      const client = await dgram(t, host);
      const sizes = [0, 1, 40, 1_472, 9_000, LONGEST, 0, 2];
      const answers = received(client, sizes.length);
      for (const [index, size] of sizes.entries()) {
        client.send(Buffer.alloc(size, index), server.address.port, host);
      }
      t.deepEqual(
        await answers,
        sizes.map((size, index) => Buffer.alloc(size, index)),
      );
    });
  }

  test(`${name}: many at once, of several peers, get what is theirs`, async (t) => {
    const perPeer = 100;
    const server = bound(t, udp, '127.0.0.1', (datagrams, socket) => {
      for (let index = 0; index < datagrams.count; index++) {
        socket.reply(index, datagrams.data.subarray(datagrams.start(index), datagrams.end(index)));
      }
    });
    await Promise.all(
      Array.from({ length: 5 }, async (_, peer) => {
        const client = await dgram(t, '127.0.0.1');
        client.setRecvBufferSize(1 << 20);
        const sent = Array.from({ length: perPeer }, (_unused, index) => Buffer.from(`${peer} ${index}`));
        const answers = received(client, perPeer);
        for (const bytes of sent) client.send(bytes, server.address.port, '127.0.0.1');
        t.deepEqual(await answers, sent);
      }),
    );
  });

  test(`${name}: a peer is answered later, and told from others`, async (t) => {
    const peers = new Map<string, Peer>();
    const addresses: unknown[] = [];
    const server = bound(t, udp, '127.0.0.1', (datagrams) => {
      for (let index = 0; index < datagrams.count; index++) {
        peers.set(datagrams.peerKey(index), datagrams.peer(index));
        addresses.push(datagrams.peerAddress(index));
      }
    });
    const clients = await Promise.all([dgram(t, '127.0.0.1'), dgram(t, '127.0.0.1')]);
    const answers = clients.map((client) => received(client, 1));
    for (const client of [...clients, ...clients]) client.send('hello', server.address.port, '127.0.0.1');
    await until(
      '4 datagrams',
      () => addresses,
      ({ length }) => length >= 4,
    );
    t.is(peers.size, 2);
    t.true(
      clients.every((client) =>
        addresses.some((address) => (address as { port: number }).port === client.address().port),
      ),
    );
    let said = 0;
    for (const peer of peers.values()) server.send(Buffer.from(`you are ${(said += 1)}`), peer);
    const texts = (await Promise.all(answers)).flat().map(String);
    t.deepEqual(texts.toSorted(), ['you are 1', 'you are 2']);
  });

  test(`${name}: what one socket receives another sends on`, async (t) => {
    const backend = await dgram(t, '127.0.0.1');
    backend.on('message', (bytes, from) => backend.send(bytes, from.port, from.address));
    let client: Peer | undefined;
    const front = bound(t, udp, '127.0.0.1', (datagrams) => {
      client ??= datagrams.peer(0);
      back.forward({ first: 0, end: datagrams.count });
    });
    const back = opened(
      t,
      udp.connect(
        { address: '127.0.0.1', port: backend.address().port },
        receiver((datagrams) => front.forward({ first: 0, end: datagrams.count }, client)),
      ),
    );
    const asker = await dgram(t, '127.0.0.1');
    const sent = Array.from({ length: 50 }, (_, index) => Buffer.alloc(index * 20, index));
    const answers = received(asker, sent.length);
    for (const bytes of sent) asker.send(bytes, front.address.port, '127.0.0.1');
    t.deepEqual(await answers, sent);
  });

  test(`${name}: that nobody listens at the other end is told`, async (t) => {
    const gone = await dgram(t, '127.0.0.1');
    const { port } = gone.address();
    gone.close();
    const told = Promise.withResolvers<string>();
    const socket = opened(
      t,
      udp.connect({ address: '127.0.0.1', port }, { received: () => t.fail(), failed: told.resolve }),
    );
    socket.send(Buffer.from('anybody?'));
    t.is(await told.promise, 'ECONNREFUSED');
  });

  for (const later of [1, 2]) {
    test(`${name}: answers that wait come before the error that ${later} sent later meet`, async (t) => {
      const heard: string[] = [];
      const told = Promise.withResolvers<void>();
      const server = bound(t, udp, '127.0.0.1', (_datagrams, socket) => {
        for (const answer of ['first', 'second', 'third']) socket.reply(0, Buffer.from(answer));
        socket.close();
        // The server is gone with the answers sent, and nobody has looked for them yet.
        for (let sent = 0; sent < later; sent++) client.send(Buffer.from('anybody?'));
      });
      const client = opened(
        t,
        udp.connect(server.address, {
          received(datagrams, socket) {
            heard.push(...textsOf(datagrams));
            if (heard.length === 1) socket.send(Buffer.from('and now?'));
          },
          failed(code) {
            heard.push(code);
            client.close();
            told.resolve();
          },
        }),
      );
      client.send(Buffer.from('hello'));
      await told.promise;
      t.deepEqual(heard, ['first', 'second', 'third', 'ECONNREFUSED']);
    });
  }

  test(`${name}: however much waits, others have their turn in between`, async (t) => {
    // As many as a socket holds by default, with some room to spare.
    const sent = 330;
    let heard = 0;
    const server = bound(t, udp, '127.0.0.1', ({ count }) => {
      heard += count;
    });
    const client = opened(
      t,
      udp.connect(
        server.address,
        receiver(() => {}),
      ),
    );
    for (let index = 0; index < sent; index++) client.send(Buffer.from([index & 0xff]));
    const heardAfter = [0];
    while (heardAfter.at(-1) !== sent) {
      await turn();
      heardAfter.push(heard);
    }
    const perTurn = heardAfter.map((count, index) => count - (heardAfter[index - 1] ?? 0));
    t.true(Math.max(...perTurn) < 256 + 64, perTurn.join());
  });

  test(`${name}: an address that is taken, and one that is not ours, are told`, async (t) => {
    const server = bound(t, udp, '127.0.0.1', () => {});
    const taken = udp.bind(
      server.address,
      receiver(() => {}),
    );
    t.deepEqual(taken, { ok: false, code: 'EADDRINUSE' });
    const foreign = udp.bind(
      { address: '203.0.113.7', port: 0 },
      receiver(() => {}),
    );
    t.deepEqual(foreign, { ok: false, code: 'EADDRNOTAVAIL' });
  });

  test(`${name}: once closed, from within what is received too, nothing is heard or sent`, async (t) => {
    let heard = 0;
    const first = Promise.withResolvers<void>();
    const server = bound(t, udp, '127.0.0.1', (datagrams, socket) => {
      heard += 1;
      first.resolve();
      socket.close();
      socket.reply(0, Buffer.from('too late'));
      socket.send(Buffer.from('too late'), datagrams.peer(0));
      socket.forward({ first: 0, end: 1 }, datagrams.peer(0));
    });
    const client = await dgram(t, '127.0.0.1');
    client.on('message', () => t.fail());
    client.on('error', () => {});
    for (let index = 0; index < 10; index++) client.send('hello', server.address.port, '127.0.0.1');
    await first.promise;
    for (let index = 0; index < 10; index++) await turn();
    t.is(heard, 1);
    t.is(server.droppedCount, 3);
  });

  test(`${name}: one that is too long is dropped, and nothing else with it`, async (t) => {
    const server = bound(t, udp, '127.0.0.1', (_datagrams, socket) => {
      socket.reply(0, new Uint8Array(LONGEST + 1));
      socket.reply(0, new Uint8Array(1_000_000));
      socket.reply(0, Buffer.from('short enough'));
    });
    const client = await dgram(t, '127.0.0.1');
    const answers = received(client, 1);
    client.send('hello', server.address.port, '127.0.0.1');
    t.deepEqual((await answers).map(String), ['short enough']);
    t.is(server.droppedCount, 2);
  });
}

function receiver(hear: DatagramReceiver['received']): DatagramReceiver {
  return { received: hear, failed: () => {} };
}

function textsOf(datagrams: Datagrams): string[] {
  return Array.from({ length: datagrams.count }, (_, index) =>
    Buffer.from(datagrams.data.subarray(datagrams.start(index), datagrams.end(index))).toString(),
  );
}

function opened(t: ExecutionContext, result: OpenedSocket): DatagramSocket {
  if (!result.ok) throw new Error(result.code);
  t.teardown(() => result.socket.close());
  return result.socket;
}

function bound(
  t: ExecutionContext,
  udp: Udp,
  address: string,
  hear: DatagramReceiver['received'],
): DatagramSocket {
  return opened(t, udp.bind({ address, port: 0 }, receiver(hear)));
}

async function dgram(t: ExecutionContext, host: string): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  let isOpen = true;
  socket.on('close', () => {
    isOpen = false;
  });
  t.teardown(() => {
    if (isOpen) socket.close();
  });
  return socket;
}

/** The next so many datagrams, in the order of their coming. */
async function received(socket: Socket, count: number): Promise<readonly Buffer[]> {
  const all: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('message', (bytes: Buffer) => {
      all.push(bytes);
      if (all.length === count) resolve(all);
    });
  });
}
