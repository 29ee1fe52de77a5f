/** What is asked by TCP, before servers that are slow, silent, lying or gone. */
import { tracingChannel } from 'node:diagnostics_channel';
import type { Server } from 'node:net';
import test from 'ava';
import { ask } from './ask.ts';
import { addressAnswer, type Behaviour } from './name-server.ts';
import { startProxy } from './proxy.ts';

const answering: Behaviour = (query) => [addressAnswer(query)];
const HELLO = 'hello.demo.svc.cluster.local';

test.serial('connections that cannot be accepted do not end it', async (t) => {
  const listening = new Set<Server>();
  const channel = tracingChannel('net.server.listen');
  const heard = { asyncEnd: ({ server }: { server: Server }) => listening.add(server) };
  channel.subscribe(heard as never);
  const { port } = await startProxy(t, answering);
  channel.unsubscribe(heard as never);
  const server = [...listening].find((each) => (each.address() as { port: number } | null)?.port === port);
  // The system has no want of buffers that a test could bring about: this is how Node tells of it.
  for (let count = 0; count < 3; count++) server?.emit('error', new Error('accept ENFILE'));
  t.not(server, undefined);
  t.is((await ask(port, { name: HELLO, transport: 'tcp' })).status, 'NOERROR');
});
