import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Folder } from './folder.ts';
import { type Program, startControlPlane, startSidecar } from './programs.ts';
import { until } from '../until.ts';

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: endless, namespace: demo }
spec:
  ports: [{ name: tcp, port: 80 }]
`;

function slice(port: number): string {
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: endless-1
  namespace: demo
  labels: { kubernetes.io/service-name: endless }
addressType: IPv4
ports: [{ name: tcp, port: ${port} }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: true } }]
`;
}

/** Sends something every few milliseconds until it is cut off. */
async function endlessBackend(t: ExecutionContext): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const timer = setInterval(() => socket.write('.'), 5);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => clearInterval(timer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as { port: number }).port;
}

/** A sidecar with one upstream, and a client that is receiving from it. */
async function receiving(t: ExecutionContext): Promise<{ sidecar: Program; client: Socket }> {
  const folder = new Folder(t);
  folder.write('service.yaml', SERVICE);
  folder.write('slice.yaml', slice(await endlessBackend(t)));
  const { xds } = await startControlPlane(t, { CORTEXFLOW_DIRECTORY: folder.path }).serving();
  const sidecar = startSidecar(t, {
    CORTEXFLOW_CONTROL_PLANE: String(xds),
    CORTEXFLOW_UPSTREAMS: '127.0.0.1:0=endless.demo:80',
  });
  const { admin, upstreams } = await sidecar.serving();
  await until(
    'the sidecar is ready',
    () => fetch(`http://${admin as string}/readyz`),
    ({ ok }) => ok,
  );
  const port = Number(/^127\.0\.0\.1:(\d+) /.exec((upstreams as string[])[0]!)![1]);
  const client = connect(port, '127.0.0.1');
  t.teardown(() => client.destroy());
  await once(client, 'data');
  return { sidecar, client };
}

test('told to end a second time, with a stream under way: the client sees a reset, not an end', async (t) => {
  const { sidecar, client } = await receiving(t);
  const ended = Promise.withResolvers<string>();
  client.on('error', ({ code }: NodeJS.ErrnoException) => ended.resolve(code ?? ''));
  client.on('end', () => ended.resolve('end'));
  process.kill(sidecar.pid, 'SIGTERM');
  await sidecar.line(({ message }) => message === 'Shutting down');
  // A signal that comes sooner counts as the same one.
  await delay(1_200);
  t.is(await sidecar.end('SIGTERM'), 1);
  t.is(await ended.promise, 'ECONNRESET');
});
