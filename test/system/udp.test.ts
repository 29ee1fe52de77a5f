import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { FlowCounters } from '../../sidecar/flows/counters.ts';
import { Folder } from './folder.ts';
import { type Program, start, startControlPlane, startSidecar } from './programs.ts';
import { until } from '../until.ts';

// UDP upstreams as people run them: a control plane on files, a sidecar, programs on sockets of their own.

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: echo, namespace: demo }
spec:
  ports: [{ name: echo, port: 7, protocol: UDP }]
`;

function slice(port: number): string {
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: echo-${port}
  namespace: demo
  labels: { kubernetes.io/service-name: echo }
addressType: IPv4
ports: [{ name: echo, port: ${port}, protocol: UDP }]
endpoints: [{ addresses: [127.0.0.1] }]
`;
}

test('datagrams reach endpoints, move when theirs leaves, and are seen on the admin page', async (t) => {
  const folder = new Folder(t);
  const backends = await Promise.all([backend(t), backend(t)]);
  folder.write('service.yaml', SERVICE);
  for (const port of backends) folder.write(`${port}.yaml`, slice(port));
  const sidecar = await startMesh(t, folder);
  const { admin, upstreams } = await sidecar.serving();
  t.regex(String(upstreams), /^127\.0\.0\.1:\d+\/udp → demo\/echo:7\/udp$/u);
  const port = Number(/:(?<port>\d+)\/udp/u.exec(String(upstreams))?.groups?.['port']);

  const clients = await Promise.all(Array.from({ length: 10 }, () => socket(t)));
  const first = await Promise.all(clients.map((client) => ask(client, port)));
  t.deepEqual([...new Set(first)].toSorted(), backends.map(String).toSorted());
  t.deepEqual(await Promise.all(clients.map((client) => ask(client, port))), first);

  const flowsOf = (answer: string) => first.filter((other) => other === answer).length;
  t.deepEqual((await view(admin)).services, {
    'demo/echo': {
      openFlows: 10,
      endpoints: Object.fromEntries(backends.map((name) => [`127.0.0.1:${name}`, flowsOf(String(name))])),
    },
  });

  folder.remove(`${backends[0]}.yaml`);
  await until(
    'every flow is answered by the backend that is left',
    () => Promise.all(clients.map((client) => ask(client, port))),
    (answers) => answers.every((answer) => answer === String(backends[1])),
  );

  t.deepEqual((await view(admin)).services, {
    'demo/echo': { openFlows: 10, endpoints: { [`127.0.0.1:${backends[1]}`]: 10 } },
  });
  const page = await (await fetch(`http://${admin as string}/metrics`)).text();
  t.regex(page, /^cortexflow_udp_open_flows\{service="demo\/echo"\} 10$/mu);
  const moved = flowsOf(String(backends[0]));
  t.regex(page, new RegExp(`^cortexflow_udp_flows_moved_total\\{service="demo/echo"\\} ${moved}$`, 'mu'));
  t.is(await sidecar.end(), 0);
});

test('an address that is taken keeps the sidecar from starting, and says what to do', async (t) => {
  const taken = await socket(t);
  const { port } = taken.address();
  const sidecar = startSidecar(t, { CORTEXFLOW_UPSTREAMS: `127.0.0.1:${port}/udp=echo.demo:7` });
  t.not(await sidecar.exited(), 0);
  t.regex(
    sidecar.text,
    new RegExp(`upstream demo/echo:7/udp: 127\\.0\\.0\\.1:${port} is already taken: stop the program`, 'u'),
  );
});

test('that fewer flows fit, and that datagrams go one at a time, is said once and shown', async (t) => {
  const sidecar = start(t, {
    file: 'sidecar/main.ts',
    environment: {
      CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
      CORTEXFLOW_UPSTREAMS: '127.0.0.1:0/udp=echo.demo:7',
      NODE_OPTIONS: '--no-experimental-ffi',
    },
    through: ['sh', '-c', 'ulimit -n 264 && exec "$0" "$@"'],
  });
  const { admin } = await sidecar.serving();
  t.deepEqual(await view(admin), {
    datagrams: 'one at a time',
    maxFlows: 41,
  });
  const said = (begins: string) => sidecar.log.filter(({ message }) => message.startsWith(begins));
  t.is(said('Datagrams are received and sent one at a time').length, 1);
  t.like(said('Fewer flows fit than allowed'), [{ maxFlows: 41, allowed: 10_000, openFiles: 264 }]);
});

test('where no file descriptor is left the quietest flow makes room; without one it is a shortage', async (t) => {
  const program = fileURLToPath(new URL('udp-shortage.ts', import.meta.url));
  const child = spawn(
    'sh',
    ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath, program, String(await backend(t))],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  const countersGiven = async (descriptors: number): Promise<FlowCounters> => {
    const counters = once(child, 'message');
    child.send(descriptors);
    return ((await counters) as [FlowCounters])[0];
  };
  const clients = await Promise.all([socket(t), socket(t), socket(t), socket(t)]);
  clients[0].send('anybody?', port, '127.0.0.1');
  const short = await until(
    'a datagram dropped for want of sockets',
    () => countersGiven(0),
    ({ dropped }) => dropped.shortage > 0,
  );
  t.like(short, { opened: 1, sentDatagrams: 0, dropped: { shortage: 1, 'no-endpoint': 0 } });
  await countersGiven(2);
  for (const client of clients) await ask(client, port);
  t.like(await countersGiven(0), { opened: 4, receivedDatagrams: 4, closed: { evicted: 2 } });
});

/** As the admin page shows them. */
async function view(admin: unknown): Promise<{ readonly services: unknown }> {
  const page = await fetch(`http://${String(admin)}/config`);
  return ((await page.json()) as { udp: { services: unknown } }).udp;
}

async function startMesh(t: ExecutionContext, folder: Folder): Promise<Program> {
  const { xds } = await startControlPlane(t, {
    CORTEXFLOW_DIRECTORY: folder.path,
    CORTEXFLOW_DRAIN_MS: '100',
  }).serving();
  const sidecar = startSidecar(t, {
    CORTEXFLOW_CONTROL_PLANE: String(xds),
    CORTEXFLOW_UPSTREAMS: '127.0.0.1:0/udp=echo.demo:7',
  });
  const { admin } = await sidecar.serving();
  await until(
    'the sidecar is ready',
    () => fetch(`http://${admin as string}/readyz`),
    ({ ok }) => ok,
  );
  return sidecar;
}

/** Answers every datagram with its own port. */
async function backend(t: ExecutionContext): Promise<number> {
  const server = await socket(t);
  const { port } = server.address();
  server.on('message', (_bytes, from) => server.send(String(port), from.port, from.address));
  return port;
}

async function socket(t: ExecutionContext): Promise<Socket> {
  const opened = createSocket('udp4');
  opened.bind(0, '127.0.0.1');
  await once(opened, 'listening');
  t.teardown(() => opened.close());
  return opened;
}

async function ask(client: Socket, port: number): Promise<string> {
  const answer = once(client, 'message');
  client.send('who?', port, '127.0.0.1');
  const [bytes] = (await answer) as [Buffer];
  return String(bytes);
}
