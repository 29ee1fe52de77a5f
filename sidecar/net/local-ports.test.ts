import { createServer } from 'node:net';
import { once } from 'node:events';
import test from 'ava';
import { echo, HOST, portOf, startBackend } from '../../test/forward/harness.ts';
import { PortsOf, portsForWorkload } from './local-ports.ts';
import type { SocketAddress } from './socket-address.ts';
import { connectTcp, type TcpStream } from './tcp.ts';

test('ports follow one another, from anywhere, and begin again', (t) => {
  const ports = new PortsOf('::1', { first: 10, last: 13 }, 0.5);
  const taken = Array.from({ length: 6 }, () => ports.next());
  t.deepEqual(
    taken.map(({ port }) => port),
    [13, 10, 11, 12, 13, 10],
  );
  t.is(taken[0]?.address, '::1');
});

test('where no rule rewrites them, connections to the workload are made as others are', async (t) => {
  const portsFor = await portsForWorkload();
  t.is(portsFor('127.0.0.1'), undefined);
  t.is(portsFor('::1'), undefined);
});

function connected(to: SocketAddress, ports: readonly number[]): Promise<TcpStream> {
  const left = [...ports];
  const next = () => ({ address: HOST, port: left.shift() ?? 0 });
  return new Promise((resolve, reject) => {
    connectTcp(to, { connected: resolve, connectFailed: reject }, { next });
  });
}

test('a connection comes from the port that it was given, or from the next one where that is taken', async (t) => {
  const backend = { address: HOST, port: await startBackend(t, echo) };
  const taken = createServer().listen(0, HOST);
  const free = createServer().listen(0, HOST);
  await Promise.all([once(taken, 'listening'), once(free, 'listening')]);
  const port = portOf(free);
  free.close();
  await once(free, 'close');
  const stream = await connected(backend, [portOf(taken), port]);
  t.is(stream.localAddress()?.port, port);
  stream.close();
  taken.close();
});
