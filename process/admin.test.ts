import test from 'ava';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Counter, Registry } from 'prom-client';
import { startAdmin, text } from './admin.ts';
import { LogLevel } from './log.ts';
import { Readiness } from './readiness.ts';

async function started(t: { teardown: (fn: () => Promise<void>) => void }, host = '127.0.0.1') {
  const readiness = new Readiness();
  const registry = new Registry();
  const level = new LogLevel('info');
  const admin = await startAdmin({
    host,
    port: 0,
    readiness,
    registry,
    level,
    localRoutes: {
      'GET /config': () => text(200, 'config'),
      'GET /broken': () => {
        throw new Error('the table is on fire');
      },
    },
  });
  t.teardown(() => admin.close());
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${admin.port}${path}`, init);
    return { status: response.status, body: await response.text() };
  };
  return { ask, port: admin.port, readiness, registry, level };
}

test('health, and readiness with its reasons', async (t) => {
  const { ask, readiness } = await started(t);
  t.deepEqual(await ask('/healthz'), { status: 200, body: 'ok\n' });
  const lift = readiness.block('waiting for the first list of Services');
  t.deepEqual(await ask('/readyz'), {
    status: 503,
    body: 'not ready: waiting for the first list of Services\n',
  });
  lift();
  t.deepEqual(await ask('/readyz'), { status: 200, body: 'ready\n' });
  readiness.remark(() => 'services were last heard of 75 s ago');
  t.deepEqual(await ask('/readyz'), { status: 200, body: 'ready\nservices were last heard of 75 s ago\n' });
});

test('connections that say nothing keep no probe out', async (t) => {
  const { ask, port } = await started(t);
  for (let count = 0; count < 200; count += 1) {
    const silent = connect({ host: '127.0.0.1', port });
    silent.on('error', () => {});
    t.teardown(async () => void silent.destroy());
    await once(silent, 'connect');
  }
  t.is((await ask('/healthz')).status, 200);
});

test('metrics of the registry', async (t) => {
  const { ask, registry } = await started(t);
  new Counter({ name: 'cortexflow_tries_total', help: 'Tries.', registers: [registry] }).inc(3);
  const { status, body } = await ask('/metrics');
  t.is(status, 200);
  t.regex(body, /^cortexflow_tries_total 3$/m);
});

test('the log level can be read and set, and a mistake says what there is', async (t) => {
  const { ask, level } = await started(t);
  t.is((await ask('/log-level')).body, 'info\n');
  t.is((await ask('/log-level?level=debug', { method: 'PUT' })).status, 200);
  t.is(level.current, 'debug');
  t.deepEqual(await ask('/log-level?level=loud', { method: 'PUT' }), {
    status: 400,
    body: 'level is "loud": use ?level= with error, warn, info, debug\n',
  });
});

test('a page that fails answers 500, an unknown one 404, and the rest goes on', async (t) => {
  const { ask } = await started(t);
  t.deepEqual(await ask('/broken'), { status: 500, body: 'the table is on fire\n' });
  t.is((await ask('/nowhere')).status, 404);
  t.is((await ask('/config', { method: 'HEAD' })).body, '');
  t.is((await ask('/config')).body, 'config\n');
});

function statusOf(port: number, path: string, method = 'GET', headers: Record<string, string> = {}) {
  return new Promise<number | undefined>((resolve, reject) => {
    const asking = request({ host: '127.0.0.1', port, path, method, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    asking.on('error', reject);
    asking.end();
  });
}

test('a web page that points its own name here is told nothing', async (t) => {
  const { port } = await started(t);
  t.is(await statusOf(port, '/config', 'GET', { host: `rebound.example:${port}` }), 421);
  for (const host of [`127.0.0.1:${port}`, `[::1]:${port}`, 'localhost', '10.0.0.1']) {
    t.is(await statusOf(port, '/config', 'GET', { host }), 200, host);
  }
});

test('on all addresses it may be read under any name, by which nobody changes anything', async (t) => {
  for (const bound of ['0.0.0.0', '::']) {
    const { port, level } = await started(t, bound);
    const host = 'control-plane.cortexflow.svc:18080';
    t.is(await statusOf(port, '/metrics', 'GET', { host }), 200, bound);
    t.is(await statusOf(port, '/log-level?level=debug', 'PUT', { host }), 421, bound);
    t.is(level.current, 'info');
  }
});

test('given all addresses, answers only what is for kubelets and Prometheus under any name', async (t) => {
  for (const bound of ['0.0.0.0', '::']) {
    const { port } = await started(t, bound);
    const host = `rebound.example:${port}`;
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      t.is(await statusOf(port, path, 'GET', { host }), 200, path);
    }
    for (const path of ['/config', '/log-level', '/nowhere']) {
      t.is(await statusOf(port, path, 'GET', { host }), 421, path);
      t.is(await statusOf(port, path, 'HEAD', { host }), 421, path);
    }
    t.is(await statusOf(port, '/config'), 200);
  }
});

test('given a request that a browser marks as from another page, refuses what is local', async (t) => {
  const { port } = await started(t);
  for (const headers of [
    { origin: 'null' },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ]) {
    t.is(await statusOf(port, '/config', 'GET', headers), 403, JSON.stringify(headers));
    t.is(await statusOf(port, '/healthz', 'GET', headers), 200, JSON.stringify(headers));
  }
  for (const headers of [
    { origin: `http://127.0.0.1:${port}` },
    { 'sec-fetch-site': 'same-origin' },
    { 'sec-fetch-site': 'none' },
  ]) {
    t.is(await statusOf(port, '/config', 'GET', headers), 200, JSON.stringify(headers));
  }
});

test('a web page changes nothing', async (t) => {
  const { port, level } = await started(t);
  const origin = { origin: 'https://example.com' };
  t.is(await statusOf(port, '/log-level?level=debug', 'PUT', origin), 403);
  t.is(level.current, 'info');
});

test('a path that is none is the mistake of whoever asks', async (t) => {
  const { port } = await started(t);
  t.is(await statusOf(port, '//'), 400);
});

/** A reset is an end like any other here: `once` would reject. */
function closeOf(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.once('close', resolve));
}

function countRenderings(registry: Registry): { count: number } {
  const renderings = { count: 0 };
  void new Counter({
    name: 'cortexflow_tries_total',
    help: 'Tries.',
    registers: [registry],
    collect: () => void (renderings.count += 1),
  });
  return renderings;
}

test('given 1,500 pipelined requests for /metrics, renders once and closes the connection', async (t) => {
  const { ask, port, registry } = await started(t);
  const renderings = countRenderings(registry);
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  const closed = closeOf(socket);
  socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(1_500));
  await closed;
  t.is((await ask('/metrics')).status, 200);
  t.true(renderings.count <= 2, `${renderings.count} renderings`);
});

test('given 100 connections that ask for /metrics at once, renders it a few times', async (t) => {
  const { port, registry } = await started(t);
  const renderings = countRenderings(registry);
  const statuses = await Promise.all(Array.from({ length: 100 }, () => statusOf(port, '/metrics')));
  t.deepEqual(new Set(statuses), new Set([200]));
  t.true(renderings.count <= 20, `${renderings.count} renderings`);
});

async function bytesReadOf(port: number, head: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port });
  socket.on('error', () => {});
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
  const closed = closeOf(socket);
  socket.write(head);
  await closed;
  return received;
}

test('given a request with a body that never ends, answers it and closes the connection', async (t) => {
  const { port } = await started(t);
  const received = await bytesReadOf(
    port,
    'GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n',
  );
  t.regex(received, /^HTTP\/1\.1 200 OK\r\nconnection: close\r\n/u);
});

test('given a request without a body, keeps the connection', async (t) => {
  const { port } = await started(t);
  const socket = connect({ host: '127.0.0.1', port });
  t.teardown(() => void socket.destroy());
  for (let count = 0; count < 3; count += 1) {
    socket.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.regex(answer.toString(), /connection: keep-alive/iu);
  }
});
