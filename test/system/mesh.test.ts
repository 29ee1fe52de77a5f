import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, get, type Server } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { Folder } from './folder.ts';
import { claimPort, type Program, start } from './programs.ts';
import { until } from '../until.ts';

interface Backend {
  readonly port: number;
  readonly server: Server;
}

/** Answers with its own port; the answer may be held back for some milliseconds. */
async function backend(t: ExecutionContext, delayMs = 0): Promise<Backend> {
  const server = createServer((_request, response) => {
    setTimeout(() => response.end(String(port)), delayMs);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port, server };
}

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: hello, namespace: demo }
spec:
  ports: [{ name: http, port: 80 }]
`;

function slice(port: number, ready = true): string {
  return `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: hello-${port}
  namespace: demo
  labels: { kubernetes.io/service-name: hello }
addressType: IPv4
ports: [{ name: http, port: ${port} }]
endpoints: [{ addresses: [127.0.0.1], conditions: { ready: ${ready} } }]
`;
}

interface Mesh {
  readonly folder: Folder;
  readonly controlPlanePort: number;
  controlPlane: Program;
  sidecar: Program;
}

function controlPlaneEnvironment(folder: Folder, port: number): Record<string, string> {
  return {
    CORTEXFLOW_DIRECTORY: folder.path,
    CORTEXFLOW_XDS_ADDRESS: `127.0.0.1:${port}`,
    CORTEXFLOW_INSPECTION_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_DRAIN_MS: '100',
  };
}

function sidecarEnvironment({ controlPlanePort, folder }: Pick<Mesh, 'controlPlanePort' | 'folder'>) {
  return {
    CORTEXFLOW_CONTROL_PLANE: `127.0.0.1:${controlPlanePort}`,
    CORTEXFLOW_UPSTREAMS: '127.0.0.1:0=hello.demo:80',
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
    CORTEXFLOW_LAST_GOOD_FILE: folder.lastGoodFile,
    CORTEXFLOW_DRAIN_MS: '2000',
  };
}

function startControlPlane(t: ExecutionContext, environment: Record<string, string>): Program {
  return start(t, { file: 'control-plane/main.ts', environment });
}

function startSidecar(t: ExecutionContext, environment: Record<string, string>): Program {
  return start(t, { file: 'sidecar/main.ts', environment });
}

async function startMesh(t: ExecutionContext, folder: Folder): Promise<Mesh> {
  const controlPlanePort = await claimPort();
  const controlPlane = startControlPlane(t, controlPlaneEnvironment(folder, controlPlanePort));
  await controlPlane.serving();
  const sidecar = startSidecar(t, sidecarEnvironment({ controlPlanePort, folder }));
  const mesh = { folder, controlPlanePort, controlPlane, sidecar };
  await readyz(sidecar);
  return mesh;
}

async function upstreamPort(sidecar: Program): Promise<number> {
  const { upstreams } = await sidecar.serving();
  return Number(/^127\.0\.0\.1:(\d+) /.exec((upstreams as string[])[0]!)![1]);
}

async function adminUrl(program: Program, path: string): Promise<string> {
  const { admin } = await program.serving();
  return `http://${admin as string}${path}`;
}

async function readyz(sidecar: Program): Promise<void> {
  const url = await adminUrl(sidecar, '/readyz');
  await until(
    `an answer with success from ${url}`,
    () => fetch(url),
    ({ ok }) => ok,
  );
}

async function config(
  sidecar: Program,
): Promise<{ services: { name: string; slices: { endpoints: { health: string }[] }[] }[] }> {
  const answer = await fetch(await adminUrl(sidecar, '/config'));
  return (await answer.json()) as never;
}

/** One request on a connection of its own; resolves with the answer, rejects on anything but a whole one. */
function request(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () => resolve(text));
      response.on('error', reject);
    }).on('error', reject);
  });
}

/** Requests without a pause until stopped, each counted by its answer; a failed one fails the test. */
function load(port: number, width: number) {
  const answers = new Map<string, number>();
  const failures: unknown[] = [];
  const state = { stopped: false };
  const one = async (): Promise<void> => {
    while (!state.stopped) {
      const answer = await request(port).catch((error: unknown) => {
        failures.push(error);
        return 'failed';
      });
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
    }
  };
  const running = Array.from({ length: width }, one);
  return {
    answers,
    failures,
    stop: async () => {
      state.stopped = true;
      await Promise.all(running);
    },
  };
}

async function threeBackends(t: ExecutionContext, folder: Folder): Promise<Backend[]> {
  const backends = await Promise.all([backend(t), backend(t), backend(t)]);
  folder.write('service.yaml', SERVICE);
  for (const { port } of backends) folder.write(`${port}.yaml`, slice(port));
  return backends;
}

test('an endpoint leaves under load, and is stopped, without one failed request', async (t) => {
  const folder = new Folder(t);
  const backends = await threeBackends(t, folder);
  const mesh = await startMesh(t, folder);
  const port = await upstreamPort(mesh.sidecar);
  const running = load(port, 8);
  await until(
    'answers of all 3 backends',
    async () => running.answers.size,
    (size) => size === 3,
  );

  const [leaving] = backends;
  folder.write(`${leaving!.port}.yaml`, slice(leaving!.port, false));
  await until(
    "an endpoint that is not ready in the sidecar's table",
    () => config(mesh.sidecar),
    ({ services }) => services[0]!.slices.some(({ endpoints }) => endpoints[0]!.health !== 'ready'),
  );
  // Those who were given this endpoint before have had their answer once another has had 200.
  const [, other] = backends;
  const before = running.answers.get(String(other!.port)) ?? 0;
  await until(
    '200 more answers of the other backend',
    async () => running.answers.get(String(other!.port)) ?? 0,
    (count) => count > before + 200,
  );
  leaving!.server.close();
  leaving!.server.closeIdleConnections();
  const gone = running.answers.get(String(leaving!.port));
  await until(
    '200 more answers of the other backend',
    async () => running.answers.get(String(other!.port)) ?? 0,
    (count) => count > before + 400,
  );
  await running.stop();

  t.deepEqual(running.failures, []);
  t.is(running.answers.get(String(leaving!.port)), gone);
});

test('an endpoint that dies without a word costs no request: the connection goes elsewhere', async (t) => {
  const folder = new Folder(t);
  const backends = await threeBackends(t, folder);
  const mesh = await startMesh(t, folder);
  backends[0]!.server.close();
  backends[0]!.server.closeAllConnections();
  const port = await upstreamPort(mesh.sidecar);
  for (let count = 0; count < 50; count += 1) {
    t.not(await request(port), String(backends[0]!.port));
  }
});

test('control plane killed, folder changed, control plane restarted: traffic throughout, and the change arrives', async (t) => {
  const folder = new Folder(t);
  const backends = await threeBackends(t, folder);
  const mesh = await startMesh(t, folder);
  const port = await upstreamPort(mesh.sidecar);
  const running = load(port, 4);
  await until(
    'answers of all 3 backends',
    async () => running.answers.size,
    (size) => size === 3,
  );

  await mesh.controlPlane.end('SIGKILL');
  const fourth = await backend(t);
  folder.write(`${fourth.port}.yaml`, slice(fourth.port));
  folder.remove(`${backends[0]!.port}.yaml`);
  const before = running.answers.get(String(backends[1]!.port)) ?? 0;
  await until(
    '100 more answers of the second backend',
    async () => running.answers.get(String(backends[1]!.port)) ?? 0,
    (count) => count > before + 100,
  );

  startControlPlane(t, controlPlaneEnvironment(folder, mesh.controlPlanePort));
  await until(
    'an answer of the fourth backend',
    async () => running.answers.has(String(fourth.port)),
    Boolean,
  );
  await running.stop();
  t.deepEqual(running.failures, []);
  const names = (await config(mesh.sidecar)).services[0]!.slices.length;
  t.is(names, 3);
});

test('a sidecar restarted while the control plane is down serves at once, and says where it knows from', async (t) => {
  const folder = new Folder(t);
  await threeBackends(t, folder);
  const mesh = await startMesh(t, folder);
  await request(await upstreamPort(mesh.sidecar));
  t.is(await mesh.sidecar.end(), 0);
  t.is(await mesh.controlPlane.end(), 0);

  const again = startSidecar(t, sidecarEnvironment(mesh));
  await readyz(again);
  t.regex(await request(await upstreamPort(again)), /^\d+$/);
  t.truthy(await again.line(({ message }) => /last good table/.test(message)));
  const text = await (await fetch(await adminUrl(again, '/config'))).text();
  t.regex(text, /"source": "disk"/);
  const { bootstrap: _, ...views } = JSON.parse(text) as Record<string, unknown>;
  const shown = JSON.stringify(views);
  t.regex(shown, /"lastError":\{"message":"[^"]+","at":"\d{4}-\d\d-\d\dT[\d:.]+Z"\}/u);
  t.notRegex(shown, /:\d{13}/u, 'a time that people cannot read');
  for (const view of Object.values(views)) {
    t.notRegex(JSON.stringify(view), /:(?:0|""|\[\]|\{\})[,}]/u, 'a field that says nothing');
  }
});

test('a sidecar is told to end: it takes nothing new and finishes what is open', async (t) => {
  const folder = new Folder(t);
  const slow = await backend(t, 300);
  folder.write('service.yaml', SERVICE);
  folder.write('slow.yaml', slice(slow.port));
  const mesh = await startMesh(t, folder);
  const port = await upstreamPort(mesh.sidecar);
  const pending = request(port);
  await until(
    '1 open outbound connection in the metrics',
    async () =>
      (await (await fetch(await adminUrl(mesh.sidecar, '/metrics'))).text()).includes(
        'cortexflow_tcp_open_connections{direction="outbound"} 1',
      ),
    Boolean,
  );
  const ended = mesh.sidecar.end();
  t.is(await pending, String(slow.port));
  t.is(await ended, 0);
  await t.throwsAsync(request(port), { code: 'ECONNREFUSED' });
});

test('a port that is taken is one sentence and exit code 1', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  const folder = new Folder(t);
  folder.write('service.yaml', SERVICE);

  const controlPlane = startControlPlane(t, controlPlaneEnvironment(folder, port));
  t.is(await controlPlane.exited(), 1);
  t.true(controlPlane.log.at(-1)!.message.includes(`127.0.0.1:${port} is already taken`), controlPlane.text);
  t.is(controlPlane.log.length, 1, controlPlane.text);

  const sidecar = startSidecar(t, {
    CORTEXFLOW_UPSTREAMS: `127.0.0.1:${port}=hello.demo:80`,
    CORTEXFLOW_ADMIN_ADDRESS: '127.0.0.1:0',
  });
  t.is(await sidecar.exited(), 1);
  t.true(sidecar.log.at(-1)!.message.includes(String(port)), sidecar.text);
  t.is(sidecar.log.filter(({ level }) => level !== 'info').length, 1, sidecar.text);
});

test('all mistakes in the settings are told at once, without a stack', async (t) => {
  const controlPlane = startControlPlane(t, { CORTEXFLOW_XDS_ADDRESS: 'here' });
  t.is(await controlPlane.exited(), 1);
  t.is(controlPlane.log.length, 2);
  const sidecar = startSidecar(t, { CORTEXFLOW_UPSTREAMS: 'x=y', CORTEXFLOW_DRAIN_MS: 'soon' });
  t.is(await sidecar.exited(), 1);
  t.notRegex(sidecar.text, /at .*\.ts:/);
});

test('the example that npm start runs, on other ports', async (t) => {
  const folder = new Folder(t);
  cpSync('examples/hello', folder.path, { recursive: true });
  const ports = await Promise.all([claimPort(), claimPort(), claimPort()]);
  ports.forEach((port, index) => {
    const name = join(folder.path, `endpoints-${index + 1}.yaml`);
    writeFileSync(name, readFileSync(name, 'utf8').replace(/port: \d+/g, `port: ${port}`));
  });
  const [xds, admin, upstream, messages, dns] = await Promise.all(Array.from({ length: 5 }, claimPort));
  const bootstrap = join(folder.path, 'sidecar.json');
  writeFileSync(
    bootstrap,
    JSON.stringify({
      controlPlane: { addresses: [`127.0.0.1:${xds}`] },
      messages: { listen: [`127.0.0.1:${messages}`], deliverTo: `http://127.0.0.1:${ports[0]}/` },
      upstreams: [
        { listen: `127.0.0.1:${upstream}`, service: 'hello.demo:80', balance: 'round-robin' },
        { listen: `127.0.0.1:${upstream}/udp`, service: 'hello.demo:5300', balance: 'round-robin' },
      ],
      dns: { listen: [`127.0.0.1:${dns}`] },
      admin: { port: admin },
    }),
  );
  const environment = {
    CORTEXFLOW_XDS_ADDRESS: `127.0.0.1:${xds}`,
    CORTEXFLOW_INSPECTION_ADDRESS: `127.0.0.1:${await claimPort()}`,
    CORTEXFLOW_ADMIN_ADDRESS: `127.0.0.1:${await claimPort()}`,
  };
  const example = start(t, { file: 'examples/start.ts', environment, args: [folder.path, bootstrap] });
  await example.line(({ message }) => message.includes('A small mesh is running'));
  const answers = new Set<string>();
  for (let count = 0; count < 6; count += 1) answers.add(await request(upstream!));
  t.deepEqual([...answers].toSorted(), ports.map((port) => `hello from 127.0.0.1:${port}\n`).toSorted());
  // What it tells people to paste.
  for (const [tool, answer] of [
    ['nc -u', /^hello from 127\.0\.0\.1:\d+ by UDP\n$/u],
    ['dig', /\shello\.demo\.svc\.cluster\.local\.\s+5\s+IN\s+A\s+10\.96\.0\.10\s/u],
    ['nc -w1', new RegExp(`^\\{.*"payload":"${payloadFrom(ports[0])}"`, 'u')],
  ] as const) {
    const { message } = await example.line((line) => line.message.includes(`${tool} `));
    t.regex(message, / {2}\S/u);
    if (isInstalled(tool)) t.regex(await paste(message), answer, message);
    else t.log(`not tried, for want of a program: ${message}`);
  }
  t.is(await example.end('SIGINT'), 0);
});

function payloadFrom(port: number): string {
  return Buffer.from(`hello from 127.0.0.1:${port}\n`).toString('base64');
}

/** In CI all of them are. */
function isInstalled(tool: string): boolean {
  const [program = ''] = tool.split(' ');
  return process.env['CI'] === 'true' || spawnSync(program, ['-h']).error === undefined;
}

async function paste(line: string): Promise<string> {
  return (await promisify(execFile)('sh', ['-c', line])).stdout;
}
