import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeKubeconfig } from './api-client.ts';
import { BINARIES, buildBinaries, CLUSTER_PROGRAMS, whatIsMissing } from './binaries.ts';
import { ADMIN_FILE, Cluster } from './cluster.ts';
import { Daemon } from './daemon.ts';
import { API_PORT } from './flags.ts';
import { prepareTemplate } from './container-template.ts';
import { type Archive, preparePause, prepareProjectImages, prepareSystemImages } from './images.ts';
import { kubeconfigPath, logDirectory, NODES, OUTSIDE, SERVER_NODE, stateDirectory } from './layout.ts';
import { whileLocked } from './lock.ts';
import { Machine } from './machine.ts';
import { connectMachines } from './network.ts';
import { bootNode, clearNode, importImages, startContainerd, startKubelet } from './node.ts';
import { createCredentials, type Credentials, startControllers, startEtcdAndApiServer } from './server.ts';

const lockPath = `${stateDirectory}.lock`;
const IMPORTED_FILE = join(stateDirectory, 'images.json');
const dns = fileURLToPath(new URL('./dns.yaml', import.meta.url));
const relay = fileURLToPath(new URL('./relay.ts', import.meta.url));

/** Why no cluster can be brought up here, and what to do about it. Programs that can be built are not missing. */
export function whyNoCluster(): string | undefined {
  if (process.getuid?.() !== 0) return 'a cluster takes root: its nodes are made of namespaces';
  return whatIsMissing([], CLUSTER_PROGRAMS);
}

/**
 * Resolves with a cluster that is up and has the images as the tree says: the one that is running, brought up
 * to date, or a new one. Half of one, left by whatever, is taken down first.
 */
export async function bringUp(): Promise<Cluster> {
  const missing = whyNoCluster();
  if (missing) throw new Error(`No cluster can be brought up: ${missing}`);
  return whileLocked(lockPath, bringUpAlone);
}

/** Leaves no process, namespace, mount, control group or file of it, whatever state it is in. */
export async function takeDown(): Promise<void> {
  await whileLocked(lockPath, clear);
}

async function bringUpAlone(): Promise<Cluster> {
  const running = Cluster.find();
  if (running) {
    await running.untilReady();
    await updateImages(await prepareProjectImages());
    return running;
  }
  buildBinaries(BINARIES);
  await clear();
  mkdirSync(logDirectory, { recursive: true });
  const archives = [...(await prepareSystemImages()), ...(await prepareProjectImages())];
  const template = await prepareTemplate(archives);
  try {
    const cluster = await create(template);
    writeFileSync(IMPORTED_FILE, JSON.stringify(archives));
    return cluster;
  } catch (error) {
    await halt();
    throw new Error(`The cluster did not come up and was stopped; its logs are in ${logDirectory}`, {
      cause: error,
    });
  }
}

async function clear(): Promise<void> {
  await halt();
  rmSync(stateDirectory, { recursive: true, force: true });
}

async function halt(): Promise<void> {
  await Promise.all([OUTSIDE, ...NODES].map(async ({ name }) => Machine.find(name)?.halt()));
  await Promise.all(NODES.map(({ name }) => clearNode(name)));
}

/** @param template the images that its nodes have */
async function create(template: string): Promise<Cluster> {
  const machines = await bootMachines();
  const credentials = await createCredentials();
  const server = machines.get(SERVER_NODE.name)!;
  await startEtcdAndApiServer(server, credentials);
  const cluster = await reach(server, credentials);
  await Promise.all(NODES.map((layout) => startContainerd(machines.get(layout.name)!, layout, template)));
  await startTheRest(cluster, machines, credentials);
  const nodes = NODES.map(({ name }) => `node/${name}`);
  // Nodes register themselves, and `kubectl wait` for a condition of one that has not yet fails at once.
  for (const state of ['create', 'condition=Ready']) {
    await cluster.mustKubectl(['wait', ...nodes, `--for=${state}`, '--timeout=300s']);
  }
  await cluster.mustKubectl([
    'rollout',
    'status',
    'deployment/coredns',
    '-n',
    'kube-system',
    '--timeout=300s',
  ]);
  writeFileSync(ADMIN_FILE, JSON.stringify(cluster.admin), { mode: 0o600 });
  return cluster;
}

async function startTheRest(
  cluster: Cluster,
  machines: ReadonlyMap<string, Machine>,
  credentials: Credentials,
): Promise<void> {
  await cluster.untilReady();
  await Promise.all([
    startControllers(machines.get(SERVER_NODE.name)!, credentials),
    ...NODES.map((layout) =>
      startKubelet(machines.get(layout.name)!, layout, credentials.nodes[layout.name]),
    ),
    cluster.mustKubectl(['apply', '-f', dns]),
  ]);
}

async function bootMachines(): Promise<ReadonlyMap<string, Machine>> {
  const init = await preparePause();
  const [outside, ...nodes] = await Promise.all([
    Machine.boot(OUTSIDE.name, init),
    ...NODES.map((layout) => bootNode(layout, init)),
  ]);
  const machines = new Map(nodes.map((node) => [node.name, node]));
  await connectMachines(outside, machines);
  return machines;
}

/** Makes the API server be reachable from this machine, at a port of loopback. */
async function reach(machine: Machine, { access }: Credentials): Promise<Cluster> {
  const listening = createServer().listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const { port } = listening.address() as { port: number };
  // Node has no public way to hand a listening socket to another program.
  // oxlint-disable-next-line no-underscore-dangle
  const { fd } = (listening as unknown as { _handle: { fd: number } })._handle;
  const command = [process.execPath, relay, SERVER_NODE.address, String(API_PORT)];
  await new Daemon(machine, 'relay', command).start([fd]);
  listening.close();
  const admin = { ...access.admin, url: `https://127.0.0.1:${port}` };
  writeKubeconfig({ ...admin, path: kubeconfigPath, user: 'admin' });
  return new Cluster(admin);
}

async function updateImages(archives: readonly Archive[]): Promise<void> {
  const imported = existsSync(IMPORTED_FILE)
    ? (JSON.parse(readFileSync(IMPORTED_FILE, 'utf8')) as Archive[])
    : [];
  const changed = archives.filter(({ path }) => !imported.some((other) => other.path === path));
  if (changed.length === 0) return;
  await Promise.all(NODES.map(({ name }) => importImages(Machine.find(name)!, changed)));
  writeFileSync(IMPORTED_FILE, JSON.stringify(archives));
}
