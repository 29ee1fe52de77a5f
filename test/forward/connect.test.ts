import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import type { Decision, Routes } from '../../sidecar/services/decision.ts';
import { testThatNeeds, whyNoIPv6 } from '../cluster/requirement.ts';
import { until } from '../until.ts';
import {
  always,
  balanceOver,
  closedPort,
  DESTINATION,
  echo,
  endOf,
  groupOf,
  hangingPort,
  HOST,
  readAll,
  SERVICE,
  startBackend,
  startForwarder,
} from './harness.ts';
import type { Counted } from './shortage.ts';

test('carries a connection to an endpoint and back', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, log } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  socket.end('hello');
  t.is(await readAll(socket), 'hello');
  t.like(await log.nextOutcome(), {
    ending: 'complete',
    closedFirst: 'client',
    service: SERVICE,
    endpoint: `${HOST}:${backend}`,
    connectAttempts: 1,
    sentBytes: 5,
    receivedBytes: 5,
  });
  t.deepEqual(log.lines, [], 'nothing is said above debug');
});

test('a backend that refuses: another one is tried, with every byte of the client', async (t) => {
  const [refusing, backend] = [await closedPort(), await startBackend(t, echo)];
  const { client, log, forwarder } = startForwarder(t, { routes: balanceOver([refusing, backend]) });
  const socket = client();
  socket.end('sent before anybody answered');
  t.is(await readAll(socket), 'sent before anybody answered');
  t.like(await log.nextOutcome(), { ending: 'complete', connectAttempts: 2, endpoint: `${HOST}:${backend}` });
  t.is(forwarder.serviceUse(SERVICE).counters.connectFailures.refused, 1);
});

test('a backend that hangs in SYN: another one is tried after the timeout', async (t) => {
  const [hanging, backend] = [await hangingPort(t), await startBackend(t, echo)];
  const { client, log, forwarder } = startForwarder(t, {
    routes: balanceOver([hanging, backend]),
    // It holds for the other one, too.
    limits: { connectTimeoutMs: 1_000 },
  });
  const socket = client();
  socket.end('hello');
  t.is(await readAll(socket), 'hello');
  t.like(await log.nextOutcome(), { ending: 'complete', connectAttempts: 2 });
  t.is(forwarder.serviceUse(SERVICE).counters.connectFailures.timeout, 1);
});

test('all backends refuse: each is tried once, then the client is reset', async (t) => {
  const { client, log, forwarder } = startForwarder(t, {
    routes: balanceOver([await closedPort(), await closedPort()]),
    limits: { connectAttempts: 5 },
  });
  t.is(await endOf(client()), 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'connect-failed', closedFirst: 'proxy', connectAttempts: 2 });
  t.is(forwarder.serviceUse(SERVICE).counters.closed['connect-failed'], 1);
});

test('retries end with the budget', async (t) => {
  const ports = [await closedPort(), await closedPort()];
  const { client, log, forwarder } = startForwarder(t, { routes: balanceOver(ports) });
  // Spent at a time to come, so that no time until then earns anything back.
  const later = performance.now() + 60_000;
  while (forwarder.serviceUse(SERVICE).retryBudget.withdraw(later));
  t.is(await endOf(client()), 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'retry-budget-exhausted', connectAttempts: 1 });
});

test('an endpoint that is the sidecar itself is left out: no connection comes back for ever', async (t) => {
  const backend = await startBackend(t, echo);
  const others: number[] = [backend];
  const running = startForwarder(t, {
    routes: {
      ...balanceOver([backend]),
      decide: () => ({ action: 'balance', group: groupOf([running.port, ...others]) }),
    },
    limits: { maxConnections: 10 },
    address: '0.0.0.0',
  });
  const { client, log, forwarder } = running;
  for (let connection = 0; connection < 3; connection++) {
    const socket = client();
    socket.end('hello');
    t.is(await readAll(socket), 'hello');
    t.like(await log.nextOutcome(), { ending: 'complete', connectAttempts: 1 });
  }
  others.pop();
  t.is(await endOf(client()), 'ECONNRESET');
  const { ending, detail } = await log.nextOutcome();
  t.is(ending, 'connect-failed');
  t.regex(detail, /^127\.0\.0\.1:\d+ is where this sidecar itself listens/u);
  t.is(forwarder.serviceUse(SERVICE).counters.opened, 4, 'none came back');
});

test('endpoints that change meanwhile: the retry goes to one that is there now', async (t) => {
  const [gone, arrived] = [await closedPort(), await startBackend(t, echo)];
  const groups = [groupOf([gone]), groupOf([arrived])];
  const { client, log } = startForwarder(t, {
    routes: {
      ...balanceOver([gone]),
      decide: () => ({ action: 'balance', group: groups.shift() ?? groupOf([arrived]) }),
    },
  });
  const socket = client();
  socket.end('hello');
  t.is(await readAll(socket), 'hello');
  t.like(await log.nextOutcome(), { ending: 'complete', connectAttempts: 2, endpoint: `${HOST}:${arrived}` });
});

test('a refused destination: the client is reset, counted by reason, and the log says why', async (t) => {
  const detail = 'demo/hello has no ready endpoint.';
  const { client, log, forwarder } = startForwarder(t, {
    routes: always({ action: 'refuse', reason: 'no-endpoints', detail }),
  });
  for (let connection = 0; connection < 3; connection++) {
    t.is(await endOf(client()), 'ECONNRESET');
    t.like(await log.nextOutcome(), { ending: 'no-endpoints', closedFirst: 'proxy', detail });
  }
  t.is(forwarder.serviceUse(SERVICE).counters.closed['no-endpoints'], 3);
  const warnings = log.lines.filter(({ level }) => level === 'warn');
  t.is(warnings.length, 1, 'one warning for many refusals');
  t.like(warnings[0], { fields: { service: SERVICE, reason: 'no-endpoints', detail } });
});

class LoadingRoutes implements Routes {
  next: Decision = { action: 'load', service: SERVICE };
  leases = 0;
  mostLeases = 0;
  decided = Promise.withResolvers<void>();
  #known = Promise.withResolvers<void>();

  decide(): Decision {
    this.decided.resolve();
    return this.next;
  }

  doubt(): boolean {
    return false;
  }

  use(): { known: Promise<void>; release: () => void } {
    this.leases++;
    this.mostLeases = Math.max(this.mostLeases, this.leases);
    return { known: this.#known.promise, release: () => void this.leases-- };
  }

  become(decision: Decision): void {
    this.next = decision;
    this.#known.resolve();
  }
}

test('endpoints not here yet: connections wait on one lease and go on when they are', async (t) => {
  const backend = await startBackend(t, echo);
  const routes = new LoadingRoutes();
  const { client, forwarder } = startForwarder(t, { routes });
  const sockets = [client(), client(), client()];
  for (const socket of sockets) socket.end('hello');
  await routes.decided.promise;
  routes.become({ action: 'balance', group: groupOf([backend]) });
  t.deepEqual(await Promise.all(sockets.map(readAll)), ['hello', 'hello', 'hello']);
  t.is(routes.mostLeases, 1);
  await forwarder.drain(5_000);
  t.is(routes.leases, 0);
});

test('endpoints are let go of once their last connection has ended, and asked for again', async (t) => {
  const backend = await startBackend(t, echo);
  const routes = new LoadingRoutes();
  // Looked after an eighth of this time apart.
  const { client } = startForwarder(t, { routes, limits: { idleTimeoutMs: 1_500 } });
  routes.become({ action: 'balance', group: groupOf([backend]) });
  for (let round = 0; round < 2; round++) {
    const socket = client();
    socket.write('hello');
    await once(socket, 'data');
    t.is(routes.leases, 1);
    socket.end();
    await readAll(socket);
    await until(
      'no lease',
      () => routes.leases,
      (count) => count === 0,
    );
  }
  t.is(routes.leases, 0);
});

test('endpoints that do not come: refused once waiting is over', async (t) => {
  const routes = new LoadingRoutes();
  const { client, log } = startForwarder(t, { routes });
  const ended = endOf(client());
  routes.become({ action: 'load', service: SERVICE });
  t.is(await ended, 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'endpoints-not-loaded', service: SERVICE });
});

test('a drain ends connections that wait for endpoints', async (t) => {
  const routes = new LoadingRoutes();
  const { client, log, forwarder } = startForwarder(t, { routes });
  const ended = endOf(client());
  await routes.decided.promise;
  await forwarder.drain(0);
  t.is(await ended, 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'drained' });
  routes.become({ action: 'balance', group: groupOf([await closedPort()]) });
});

test('pass-through connects to the address itself', async (t) => {
  const port = await startBackend(t, echo);
  const { client, log } = startForwarder(t, {
    routes: always({ action: 'pass-through', address: HOST, port }),
  });
  const socket = client();
  socket.end('hello');
  t.is(await readAll(socket), 'hello');
  t.like(await log.nextOutcome(), {
    ending: 'complete',
    service: 'pass-through',
    endpoint: `${HOST}:${port}`,
  });
});

test('pass-through to an address that is none: refused, nothing thrown', async (t) => {
  const { client, log } = startForwarder(t, {
    routes: always({ action: 'pass-through', address: 'no address', port: 80 }),
  });
  t.is(await endOf(client()), 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'connect-failed' });
});

testThatNeeds(whyNoIPv6(), test)('IPv6 on both sides', async (t) => {
  const backend = await startBackend(t, echo, '::1');
  const { client } = startForwarder(t, {
    routes: always({ action: 'balance', group: groupOf([backend], '::1') }),
    address: '::1',
  });
  const socket = client();
  socket.end('hello');
  t.is(await readAll(socket), 'hello');
});

test('connections spread over the endpoints', async (t) => {
  const seen = new Map<number, number>();
  const ports: number[] = [];
  for (let backend = 0; backend < 3; backend++) {
    const port = await startBackend(t, (socket) => {
      seen.set(port, (seen.get(port) ?? 0) + 1);
      echo(socket);
    });
    ports.push(port);
  }
  const { client } = startForwarder(t, { routes: balanceOver(ports) });
  for (let connection = 0; connection < 9; connection++) {
    const socket = client();
    socket.end('hello');
    await readAll(socket);
  }
  t.deepEqual([...seen.values()], [3, 3, 3]);
});

test('a port already taken: the message names the upstream, the address and what to do', async (t) => {
  const taken = await startBackend(t, echo);
  const { forwarder } = startForwarder(t, { routes: balanceOver([taken]) });
  const listening = forwarder.listen({
    name: 'Upstream shop.demo:80',
    address: { address: HOST, port: taken },
    destinationOf: () => DESTINATION,
  });
  t.false(listening.ok);
  if (listening.ok) return;
  t.is(listening.code, 'EADDRINUSE');
  t.is(
    listening.message,
    `Upstream shop.demo:80: ${HOST} port ${taken} is taken by another program. Stop it or choose another port.`,
  );
});

test('an address that is none of this machine: a clear message', (t) => {
  const { forwarder } = startForwarder(t, { routes: balanceOver([1]) });
  for (const address of ['192.0.2.1', 'localhost', '']) {
    const listening = forwarder.listen({
      name: 'Upstream shop.demo:80',
      address: { address, port: 0 },
      destinationOf: () => DESTINATION,
    });
    t.regex(
      listening.ok ? '' : listening.message,
      /^Upstream shop\.demo:80: .* is not an address of this machine/,
    );
  }
});

test('more connections than allowed: the new one is reset and counted, the old one lives', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, forwarder } = startForwarder(t, {
    routes: balanceOver([backend]),
    limits: { maxConnections: 1 },
  });
  const first = client();
  first.write('one');
  await once(first, 'data');
  t.is(await endOf(client()), 'ECONNRESET');
  t.is(forwarder.serviceUse(SERVICE).counters.closed['too-many-connections'], 1);
  first.end('two');
  t.is(await readAll(first), 'two');
});

async function carried(socket: Socket): Promise<Socket> {
  socket.write('hello');
  await once(socket, 'data');
  return socket;
}

test('connections to the workload take no room from those that it makes, nor the other way round', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, forwarder } = startForwarder(t, {
    routes: balanceOver([backend]),
    limits: { maxConnections: 1 },
  });
  const listening = forwarder.listen({
    name: 'Interception (inbound)',
    address: { address: HOST, port: 0 },
    origin: { direction: 'inbound', isIntercepted: true, outlivesDrain: false },
    destinationOf: () => DESTINATION,
  });
  if (!listening.ok) throw new Error(listening.message);
  const stranger = (): Socket => {
    const socket = connect(listening.address.port, HOST);
    t.teardown(() => socket.destroy());
    return socket;
  };
  const first = await carried(stranger());
  t.is(await endOf(stranger()), 'ECONNRESET');
  await carried(client());
  t.is(await endOf(client()), 'ECONNRESET');
  first.destroy();
  await until(
    '1 connection',
    () => forwarder.connections.size,
    (count) => count <= 1,
  );
  await carried(stranger());
  t.is(await endOf(stranger()), 'ECONNRESET');
  const { closed } = forwarder.serviceUse(SERVICE, 'inbound').counters;
  // Another test may connect to a port that it takes for closed.
  t.true(closed['too-many-connections'] >= 2);
});

test('a client of IPv4 at a listener of both families is known by its own address', async (t) => {
  const backend = await startBackend(t, echo);
  const { forwarder, port } = startForwarder(t, { routes: balanceOver([backend]), address: '::' });
  const socket = connect(port, HOST);
  socket.write('hello');
  await once(socket, 'data');
  t.deepEqual(
    Array.from(forwarder.connections, ({ clientAddress }) => clientAddress),
    ['127.0.0.1'],
  );
  socket.destroy();
});

test('two drains at once both end', async (t) => {
  const backend = await startBackend(t, echo);
  const { client, forwarder } = startForwarder(t, { routes: balanceOver([backend]) });
  const socket = client();
  socket.write('one');
  await once(socket, 'data');
  const patient = forwarder.drain(60_000);
  await forwarder.drain(0);
  await patient;
  t.is(forwarder.connections.size, 0);
});

test('no file descriptor left for a connection to an endpoint: refused at once, and no endpoint is blamed', async (t) => {
  const backends = [await startBackend(t, echo), await startBackend(t, echo)];
  const program = fileURLToPath(new URL('shortage.ts', import.meta.url));
  const child = spawn(
    'sh',
    ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath, program, ...backends.map(String)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  const [port] = (await once(child, 'message')) as [number];
  t.is(await endOf(connect(port, HOST)), 'ECONNRESET');
  child.send('go on');
  const [counted] = (await once(child, 'message')) as [Counted];
  t.deepEqual(counted, {
    refused: 1,
    failures: 1,
    endpoints: backends.map(() => ({ isAvoided: false, active: 0 })),
  });
  const socket = connect({ port, host: HOST, allowHalfOpen: true });
  socket.end('hello');
  t.is(await readAll(socket), 'hello');
});

test('no endpoint answers and the table may be wrong: the address that was asked for is the last way', async (t) => {
  const [refusing, alsoRefusing, backend] = [
    await closedPort(),
    await closedPort(),
    await startBackend(t, echo),
  ];
  const group = groupOf([refusing, alsoRefusing]);
  let isDoubted = false;
  const routes: Routes = {
    ...always({ action: 'balance', group }),
    decide: () =>
      isDoubted
        ? { action: 'pass-through', address: HOST, port: backend, service: SERVICE }
        : { action: 'balance', group },
    doubt: () => (isDoubted = true),
  };
  const { client, log, forwarder } = startForwarder(t, { routes });
  const socket = client();
  socket.end('sent before anybody answered');
  t.is(await readAll(socket), 'sent before anybody answered');
  t.like(await log.nextOutcome(), { ending: 'complete', connectAttempts: 3, endpoint: `${HOST}:${backend}` });
  t.is(forwarder.serviceUse(SERVICE).counters.passedThrough, 1);
});

for (const [how, reason, port] of [
  ['refuses', 'refused', () => closedPort()],
  ['is silent', 'timeout', hangingPort],
] as const) {
  test(`that address ${how}, and meanwhile the endpoints are told: they are used`, async (t) => {
    const [inVain, backend] = [await port(t), await startBackend(t, echo)];
    const decisions: Decision[] = [
      { action: 'pass-through', address: HOST, port: inVain, service: SERVICE },
      { action: 'load', service: SERVICE },
    ];
    const told: Decision = { action: 'balance', group: groupOf([backend]) };
    const routes: Routes = { ...always(told), decide: () => decisions.shift() ?? told };
    const limits = { connectTimeoutMs: 1_000 };
    const { client, log, forwarder } = startForwarder(t, { routes, limits });
    const socket = client();
    socket.end('hello');
    t.is(await readAll(socket), 'hello');
    const outcome = { ending: 'complete', connectAttempts: 2, endpoint: `${HOST}:${backend}` } as const;
    t.like(await log.nextOutcome(), outcome);
    const { counters } = forwarder.serviceUse(SERVICE);
    t.is(counters.passedThrough, 1);
    t.is(counters.connectFailures[reason], 1);
  });
}

test('however many endpoints were tried before, that address is tried as often as it may', async (t) => {
  const ports = await Promise.all(Array.from({ length: 4 }, () => closedPort()));
  const group = groupOf(ports.slice(1));
  let isDoubted = false;
  const routes: Routes = {
    ...always({ action: 'balance', group }),
    decide: () =>
      isDoubted
        ? { action: 'pass-through', address: HOST, port: ports[0]!, service: SERVICE }
        : { action: 'balance', group },
    doubt: () => (isDoubted = true),
  };
  const { client, log } = startForwarder(t, { routes });
  t.is(await endOf(client()), 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'connect-failed', connectAttempts: 6 });
});

test('that address does not answer either: refused, not tried for ever', async (t) => {
  const refusing = await closedPort();
  let doubts = 0;
  const routes: Routes = {
    ...always({ action: 'pass-through', address: HOST, port: refusing, service: SERVICE }),
    doubt: () => ++doubts > 0,
  };
  const { client, log, forwarder } = startForwarder(t, { routes });
  t.is(await endOf(client()), 'ECONNRESET');
  t.like(await log.nextOutcome(), { ending: 'connect-failed', connectAttempts: 3 });
  t.is(doubts, 0);
  t.like(forwarder.serviceUse(SERVICE).counters, { passedThrough: 1 });
  t.is(forwarder.serviceUse(SERVICE).counters.connectFailures.refused, 3);
});
