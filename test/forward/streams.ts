import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { connectTcp, type TcpStream } from '../../sidecar/net/tcp.ts';
import { HOST, portOf } from './harness.ts';

/** A stream of ours connected to a socket of `node:net`. */
export async function streamAndPeer(t: ExecutionContext): Promise<{ stream: TcpStream; peer: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, HOST);
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const stream = await connected(portOf(server));
  const [peer] = (await accepted) as [Socket];
  peer.on('error', () => {});
  t.teardown(async () => {
    stream.close();
    peer.destroy();
    server.close();
    await once(server, 'close');
  });
  return { stream, peer };
}

async function connected(port: number): Promise<TcpStream> {
  return new Promise((resolve, reject) => {
    connectTcp({ address: HOST, port }, { connected: resolve, connectFailed: reject });
  });
}
