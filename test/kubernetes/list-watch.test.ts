/** Lists and watches against a real API server, through what happens to those. */
import { createServer, connect as connectTcp, type Socket } from 'node:net';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { KubernetesObject } from '../../api-server/api-server.ts';
import { connectApiServer } from '../../api-server/connection.ts';
import { type ListWatch, listWatch, type ListWatchLimits } from '../../api-server/list-watch.ts';
import { REAL_WORLD } from '../../api-server/world.ts';
import { createLogger } from '../../process/log.ts';
import { startApiServer, type TestApiServer, whyNoApiServer } from '../cluster/api-server.ts';
import { testThatNeeds } from '../cluster/requirement.ts';
import { until, within } from '../until.ts';
import { compact, put } from './etcd.ts';

// One after the other: they stop and start one API server, and each has a namespace of its own there.
const testWithServer = testThatNeeds(whyNoApiServer(), test.serial);

/** What is known of the ConfigMaps of a namespace, and how it came to be known. */
class Known {
  readonly names = new Set<string>();
  readonly problems: string[] = [];
  deletions = 0;
  #waiting: (() => void)[] = [];

  replaced(objects: readonly KubernetesObject[]): void {
    const names = new Set(objects.map(({ metadata }) => metadata.name));
    for (const name of this.names) if (!names.has(name)) this.deleted({ metadata: { name } });
    for (const object of objects) this.changed(object);
    this.#wake();
  }

  changed({ metadata: { name } }: KubernetesObject): void {
    this.names.add(name);
    this.#wake();
  }

  deleted({ metadata: { name } }: KubernetesObject): void {
    this.names.delete(name);
    this.deletions += 1;
    this.#wake();
  }

  synced(): void {
    this.#wake();
  }

  /** Resolves once it holds, as soon as something is told. */
  async until(what: string, holds: () => boolean): Promise<void> {
    while (!holds()) await within(what, new Promise<void>((resolve) => this.#waiting.push(resolve)));
  }

  async has(name: string): Promise<void> {
    await this.until(`the object ${name}`, () => this.names.has(name));
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

interface Followed {
  readonly known: Known;
  readonly watched: ListWatch;
}

interface Place {
  readonly server: TestApiServer;
  readonly namespace: string;
  /** Where the ConfigMaps of that namespace are. */
  readonly path: string;
}

let shared: Promise<TestApiServer> | undefined;
let namespaces = 0;
test.after.always(async () => (await shared)?.stop());

/** On the API server of all these tests; after one that fails, which may have left it stopped, on another. */
async function start(t: ExecutionContext): Promise<Place> {
  shared ??= startApiServer();
  const server = await shared;
  t.teardown(async () => {
    if (t.passed) return;
    shared = undefined;
    await server.stop();
  });
  namespaces += 1;
  const namespace = `test-${namespaces}`;
  await server.createNamespace(namespace);
  return { server, namespace, path: `/api/v1/namespaces/${namespace}/configmaps` };
}

async function follow(
  t: ExecutionContext,
  { path }: Place,
  environment: Readonly<Record<string, string>>,
  limits: Partial<ListWatchLimits> = {},
): Promise<Followed> {
  const api = await connectApiServer({
    lookup: (name) => environment[name],
    serviceAccountDirectory: environment['DIRECTORY'] ?? '/nonexistent',
  });
  const known = new Known();
  const logger = createLogger({
    format: 'json',
    level: () => 'warn',
    write: (line) => known.problems.push((JSON.parse(line) as { problem: string }).problem),
    now: () => new Date(),
  });
  // Without chance, so that nobody waits for a backoff here.
  const world = { ...REAL_WORLD, random: () => 0.05 };
  const watched = listWatch({ api, path, receiver: known, logger, world, limits });
  t.teardown(() => {
    watched.close();
    api.close();
  });
  return { known, watched };
}

/** Resolves with the next problem. */
async function troubled(watched: ListWatch): Promise<string> {
  return String(
    await until(
      'a problem of the watch',
      () => watched.problem,
      (problem) => problem !== undefined,
    ),
  );
}

async function write({ server, path }: Place, name: string, data = ''): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { data } };
  const { status } = await server.call({ method: 'POST', path, body });
  if (status !== 201) throw new Error(`${name}: ${status}`);
}

async function remove({ server, path }: Place, name: string): Promise<void> {
  await server.call({ method: 'DELETE', path: `${path}/${name}` });
}

testWithServer('objects are followed as they come and go', async (t) => {
  const place = await start(t);
  const { server } = place;
  await write(place, 'before');
  const { known, watched } = await follow(t, place, { KUBECONFIG: server.kubeconfig });
  await known.until('the watch is synced', () => watched.isSynced);
  t.true(known.names.has('before'));
  await write(place, 'after');
  await known.has('after');
  await remove(place, 'before');
  await known.until('the object of before is gone', () => !known.names.has('before'));
  t.deepEqual(watched.counters, { relists: 0, errors: 0 });
  t.deepEqual(known.problems, []);
});

testWithServer(
  'an API server that is killed takes nothing away, and what changed is known when it is back',
  async (t) => {
    const place = await start(t);
    const { server } = place;
    await write(place, 'kept');
    const { known, watched } = await follow(t, place, { KUBECONFIG: server.kubeconfig });
    await known.until('the watch is synced', () => watched.isSynced);
    await server.stopServer();
    t.regex(await troubled(watched), /^cannot watch configmaps in namespace test-\d+: connect ECONNREFUSED/);
    t.is(known.deletions, 0);
    await server.startServer();
    await write(place, 'new');
    await known.has('new');
    t.deepEqual([...known.names].filter((name) => name !== 'kube-root-ca.crt').toSorted(), ['kept', 'new']);
    t.is(known.deletions, 0);
    t.is(watched.problem, undefined);
  },
);

testWithServer(
  'etcd away: nothing is taken away, watches are renewed, and what changes is known when it is back',
  async (t) => {
    const place = await start(t);
    const { server } = place;
    await write(place, 'kept');
    const { known, watched } = await follow(t, place, { KUBECONFIG: server.kubeconfig }, { watchMs: 1000 });
    await known.until('the watch is synced', () => watched.isSynced);
    await server.stopEtcd();
    await new Promise((resolve) => setTimeout(resolve, 3000));
    t.deepEqual([known.names.has('kept'), known.deletions], [true, 0]);
    await server.startEtcd();
    await server.untilReady();
    await write(place, 'new');
    await known.has('new');
    t.is(known.deletions, 0);
  },
);

testWithServer('all crashed, and etcd compacted meanwhile: only what is gone is taken away', async (t) => {
  const place = await start(t);
  const { server } = place;
  await write(place, 'kept');
  await write(place, 'goes');
  const { known, watched } = await follow(t, place, { KUBECONFIG: server.kubeconfig });
  await known.until('the watch is synced', () => watched.isSynced);
  await server.stopEtcd();
  await server.stopServer();
  await server.startEtcd();
  await server.startServer();
  await remove(place, 'goes');
  await compact(server);
  await known.until('the deleted object is gone', () => !known.names.has('goes'));
  t.true(known.names.has('kept'));
  t.is(known.deletions, 1);
});

testWithServer(
  'ten thousand objects come in pages, also when etcd is compacted between two of them',
  async (t) => {
    const place = await start(t);
    const { server, namespace, path } = place;
    const api = await connectApiServer({ lookup: () => server.kubeconfig });
    const names = Array.from({ length: 10_000 }, (_, index) => `n-${String(index).padStart(5, '0')}`);
    await put(
      server,
      new Map(
        names.map((name) => [
          `configmaps/${namespace}/${name}`,
          { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, uid: name } },
        ]),
      ),
    );
    const asked: string[] = [];
    const known = new Known();
    const watched = listWatch({
      api: {
        lines: (request) => api.lines(request),
        request: async (request) => {
          const from = request.query?.['continue'];
          asked.push(from === undefined ? 'first' : 'next');
          const answer = await api.request(request);
          if (asked.length === 3) {
            await write(place, 'meanwhile');
            await compact(server);
            // It has the pages of that moment in memory, too.
            await server.stopServer();
            await server.startServer();
          }
          return answer;
        },
      },
      path,
      receiver: known,
      logger: createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() }),
    });
    t.teardown(() => {
      watched.close();
      api.close();
    });
    await known.until('the watch is synced', () => watched.isSynced);
    t.is(asked.filter((page) => page === 'first').length, 2);
    t.deepEqual([...known.names].filter((name) => name.startsWith('n-')).toSorted(), names);
    t.true(known.names.has('meanwhile'));
  },
);

testWithServer('an API server that falls silent is noticed, and followed again when it speaks', async (t) => {
  const place = await start(t);
  const { server } = place;
  const limits = { watchMs: 1000, stallMs: 2000, requestTimeoutMs: 500 };
  const { known, watched } = await follow(t, place, { KUBECONFIG: server.kubeconfig }, limits);
  await known.until('the watch is synced', () => watched.isSynced);
  await write(place, 'before');
  await known.has('before');
  server.pause();
  t.regex(
    await troubled(watched),
    /^cannot watch configmaps in namespace test-\d+: no answer within 0\.5 s$/,
  );
  t.true(watched.stalenessMs() >= 2000);
  t.is(known.deletions, 0);
  server.resume();
  await write(place, 'after');
  await known.has('after');
  t.true(known.names.has('before'));
});

testWithServer('a network that swallows everything is noticed, and a new connection made', async (t) => {
  const place = await start(t);
  const { server } = place;
  const network = await Network.to(server.url);
  t.teardown(() => network.close());
  const environment = {
    KUBERNETES_SERVICE_HOST: network.host,
    KUBERNETES_SERVICE_PORT: String(network.port),
    DIRECTORY: await serviceAccount(t, place),
  };
  const { known, watched } = await follow(t, place, environment, { watchMs: 1000, stallMs: 2000 });
  await known.until('the watch is synced', () => watched.isSynced);
  network.swallow();
  await write(place, 'unheard');
  await known.has('unheard');
  t.true(watched.counters.errors > 0);
});

/** A TCP proxy at the API server's own address, so that its certificate holds for it. */
class Network {
  readonly host: string;
  port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server;

  private constructor(url: URL) {
    this.host = url.hostname;
    this.#server = createServer((near) => {
      const far = connectTcp(Number(url.port), url.hostname);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          near.destroy();
          far.destroy();
        });
      }
      near.pipe(far).pipe(near);
    });
  }

  static async to(url: string): Promise<Network> {
    const network = new Network(new URL(url));
    network.#server.listen(0, network.host);
    await once(network.#server, 'listening');
    network.port = (network.#server.address() as { port: number }).port;
    return network;
  }

  /** Nothing comes through connections that are open now, and nobody is told. */
  swallow(): void {
    for (const socket of this.#sockets) socket.unpipe().removeAllListeners('data').pause();
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** What the kubelet would give to a pod: the directory of a ServiceAccount that may read ConfigMaps. */
async function serviceAccount(t: ExecutionContext, place: Place): Promise<string> {
  const { server, namespace } = place;
  const directory = mkdtempSync(join(tmpdir(), 'cortexflow-service-account-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  await server.createServiceAccount('reader', namespace);
  const granted = await server.kubectl(
    `create role reader --verb=list,watch --resource=configmaps -n ${namespace}`.split(' '),
  );
  t.is(granted.code, 0, granted.stderr);
  const bound = await server.kubectl(
    `create rolebinding reader --role=reader --serviceaccount=${namespace}:reader -n ${namespace}`.split(' '),
  );
  t.is(bound.code, 0, bound.stderr);
  writeFileSync(join(directory, 'ca.crt'), readFileSync(server.admin.certificateAuthority));
  await renewToken(place, directory);
  return directory;
}

async function renewToken({ server, namespace }: Place, directory: string): Promise<void> {
  writeFileSync(join(directory, 'token'), (await server.accessFor('reader', namespace)).token);
}

testWithServer('a token that is not valid any more is told, and its successor is taken up', async (t) => {
  const place = await start(t);
  const { server, namespace } = place;
  const directory = await serviceAccount(t, place);
  const { hostname, port } = new URL(server.url);
  const environment = {
    KUBERNETES_SERVICE_HOST: hostname,
    KUBERNETES_SERVICE_PORT: port,
    DIRECTORY: directory,
  };
  const { known, watched } = await follow(t, place, environment, { watchMs: 1000 });
  await known.until('the watch is synced', () => watched.isSynced);
  await server.call({ method: 'DELETE', path: `/api/v1/namespaces/${namespace}/serviceaccounts/reader` });
  await server.createServiceAccount('reader', namespace);
  t.regex(
    await troubled(watched),
    /^is not known to the API server \(Unauthorized\): its token or certificate/,
  );
  await renewToken(place, directory);
  await write(place, 'new');
  await known.has('new');
  t.is(watched.problem, undefined);
  t.is(watched.counters.relists, 0);
});
