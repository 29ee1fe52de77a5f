import { setImmediate as turn } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import type { DatagramSocket, OpenedSocket } from './socket.ts';
import { systemCalls } from './system-calls.ts';
import { Udp } from './udp.ts';

// What is sent by whoever hears of an error, as one who asks another server does.

const HOST = '127.0.0.1';

const ways = [
  { name: 'one at a time', udp: new Udp(undefined) },
  ...(systemCalls() === undefined ? [] : [{ name: 'many at a time', udp: new Udp() }]),
];

for (const { name, udp } of ways) {
  test(`${name}: sent on hearing of an error, it takes nothing else's place`, async (t) => {
    const mesh = start(t, udp);
    await mesh.refuse();
    mesh.socket.send(Buffer.from('second'));
    mesh.socket.send(Buffer.from('third'));
    await mesh.quiet();
    t.deepEqual(mesh.heard, { returned: ['second', 'third'], other: ['instead'], third: [] });
  });

  test(`${name}: sent on hearing of an error while another one sends, it goes its own way`, async (t) => {
    const mesh = start(t, udp);
    await mesh.refuse();
    mesh.socket.send(Buffer.from('second'));
    mesh.toThird.send(Buffer.from('to the third'));
    await mesh.quiet();
    t.deepEqual(mesh.heard, { returned: ['second'], other: ['instead'], third: ['to the third'] });
  });
}

/** A socket whose server goes, so that it hears of an error with the next datagram, and comes back at once. */
function start(t: ExecutionContext, udp: Udp) {
  const heard = { returned: [] as string[], other: [] as string[], third: [] as string[] };
  const listen = (name: keyof typeof heard, port = 0): DatagramSocket =>
    opened(
      t,
      udp.bind(
        { address: HOST, port },
        {
          received(datagrams) {
            for (let index = 0; index < datagrams.count; index++) {
              const bytes = datagrams.data.subarray(datagrams.start(index), datagrams.end(index));
              heard[name].push(Buffer.from(bytes).toString());
            }
          },
          failed: (code) => t.fail(code),
        },
      ),
    );
  const gone = listen('returned');
  const { address } = gone;
  const toOther = opened(t, udp.connect(listen('other').address, { received() {}, failed() {} }));
  const toThird = opened(t, udp.connect(listen('third').address, { received() {}, failed() {} }));
  const failed = (): void => toOther.send(Buffer.from('instead'));
  const socket = opened(t, udp.connect(address, { received() {}, failed }));
  gone.close();
  return {
    heard,
    socket,
    toThird,
    async refuse(): Promise<void> {
      // A closed socket is gone with the turn.
      await turn();
      socket.send(Buffer.from('first'));
      // It leaves with this turn of the microtasks, and the error is not looked for before the next of the loop.
      await Promise.resolve();
      await Promise.resolve();
      listen('returned', address.port);
    },
    async quiet(): Promise<void> {
      for (let turns = 0; turns < 20; turns++) await turn();
    },
  };
}

function opened(t: ExecutionContext, result: OpenedSocket): DatagramSocket {
  if (!result.ok) throw new Error(result.code);
  t.teardown(() => result.socket.close());
  return result.socket;
}
