import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { stderrLogger, LogLevel } from '../../process/log.ts';
import { until } from '../../test/until.ts';
import { Balancer } from '../balance/balancer.ts';
import type { EndpointLoad } from '../balance/load.ts';
import { Udp } from '../datagram/udp.ts';
import type { Candidate, Decision, EndpointGroup, Routes } from '../services/decision.ts';
import { FlowForwarder, type FlowForwarderOptions } from './forwarder.ts';

// Real sockets on loopback, as clients and as endpoints.

const log = stderrLogger('test', 'json', new LogLevel('error'));
const DESTINATION = { kind: 'service', service: 'demo/echo', port: 53, protocol: 'udp' } as const;

test('a flow stays with its endpoint, and each client has one of its own', async (t) => {
  const mesh = await start(t, { endpoints: 3 });
  const answers = new Map<number, Set<string>>();
  for (let client = 0; client < 12; client++) {
    const socket = await socketAt(t);
    const seen = new Set<string>();
    for (let turn = 0; turn < 5; turn++) seen.add(await ask(socket, mesh.port, 'who?'));
    answers.set(client, seen);
  }
  t.true([...answers.values()].every((seen) => seen.size === 1));
  t.true(new Set(answers.values().map((seen) => [...seen].join())).size > 1);
  t.is(mesh.counters.opened, 12);
  t.is(mesh.counters.sentDatagrams, 60);
  t.is(mesh.counters.receivedDatagrams, 60);
});

test('datagrams of any size arrive as they are, in order', async (t) => {
  const mesh = await start(t, { endpoints: 1, answer: (bytes) => bytes });
  const client = await socketAt(t);
  const sizes = [0, 1, 512, 1_472, 9_000, 65_507];
  const all: Buffer[] = [];
  const done = Promise.withResolvers<void>();
  client.on('message', (bytes: Buffer) => {
    all.push(bytes);
    if (all.length === sizes.length) done.resolve();
  });
  for (const [index, size] of sizes.entries()) client.send(Buffer.alloc(size, index), mesh.port, '127.0.0.1');
  await done.promise;
  t.deepEqual(
    all,
    sizes.map((size, index) => Buffer.alloc(size, index)),
  );
  t.is(
    mesh.counters.sentBytes,
    sizes.reduce((sum, size) => sum + size, 0),
  );
});

test('only the flows of an endpoint that leaves go elsewhere', async (t) => {
  const mesh = await start(t, { endpoints: 2 });
  const clients = await Promise.all(Array.from({ length: 8 }, () => socketAt(t)));
  const before = await Promise.all(clients.map((client) => ask(client, mesh.port, 'who?')));
  const [left] = mesh.candidates;
  mesh.setCandidates(mesh.candidates.slice(1));
  const after = await Promise.all(clients.map((client) => ask(client, mesh.port, 'who?')));
  const moved = before.filter((answer) => answer === nameOf(left!)).length;
  t.true(after.every((answer) => answer === nameOf(mesh.candidates[0]!)));
  t.is(mesh.counters.moved, moved);
});

test('an endpoint that refuses loses the flow to another, and is told of', async (t) => {
  const mesh = await start(t, { endpoints: 2 });
  const client = await socketAt(t);
  const first = await ask(client, mesh.port, 'who?');
  mesh.stop(first);
  const answer = await askUntil(client, mesh.port);
  t.not(answer, first);
  t.true(mesh.counters.refused >= 1);
  t.is(mesh.counters.moved, 1);
  const loads = [...mesh.balancer.loads(DESTINATION.service)];
  t.deepEqual(
    loads.filter(hasFailed).map(({ id }) => `endpoint ${id}`),
    [first],
    'others stay away from it, though it had answered',
  );
});

test('an endpoint to which there is no way is passed over, and avoided', async (t) => {
  const mesh = await start(t, { endpoints: 1 });
  // The kernel connects no socket to it.
  const unreachable: Candidate = { ...candidateOf(9), id: 'unreachable', address: '255.255.255.255' };
  const [there] = mesh.candidates;
  mesh.setCandidates([unreachable, there!]);
  for (let client = 0; client < 4; client++) {
    t.is(await ask(await socketAt(t), mesh.port, 'who?'), nameOf(there!));
  }
  t.is(mesh.counters.dropped['no-endpoint'], 0);
  const load = [...mesh.balancer.loads(DESTINATION.service)].find(({ id }) => id === 'unreachable');
  t.true(hasFailed(load!));
  t.is(load!.active, 0);
  mesh.setCandidates([unreachable]);
  const client = await socketAt(t);
  for (let lost = 1; lost <= 3; lost++) {
    client.send('anybody?', mesh.port, '127.0.0.1');
    await until(
      `${lost} datagrams dropped for want of an endpoint`,
      () => mesh.counters.dropped['no-endpoint'],
      (count) => count === lost,
    );
  }
});

test('without endpoints datagrams are dropped and counted, and flow again once there are some', async (t) => {
  const mesh = await start(t, { endpoints: 1 });
  const { candidates } = mesh;
  mesh.setCandidates([]);
  const client = await socketAt(t);
  client.send('anybody?', mesh.port, '127.0.0.1');
  await until(
    'a datagram dropped for want of an endpoint',
    () => mesh.counters?.dropped['no-endpoint'],
    (count) => count === 1,
  );
  mesh.setCandidates(candidates);
  t.is(await ask(client, mesh.port, 'who?'), nameOf(candidates[0]!));
});

test('what comes before the endpoints are known waits for them, as much as there is room for', async (t) => {
  const known = Promise.withResolvers<void>();
  const mesh = await start(t, { endpoints: 1, known: known.promise });
  const client = await socketAt(t);
  const answers: string[] = [];
  client.on('message', (bytes: Buffer) => answers.push(String(bytes)));
  for (let index = 0; index < 20; index++) client.send(String(index), mesh.port, '127.0.0.1');
  await until(
    '4 waiting datagrams dropped',
    () => mesh.counters.dropped.waiting,
    (count) => count === 4,
  );
  known.resolve();
  await until(
    '16 answers',
    () => answers,
    ({ length }) => length >= 16,
  );
  t.is(mesh.counters.sentDatagrams, 16);
});

test('what waits for endpoints takes 4 MiB of all flows together, and the room is there again afterwards', async (t) => {
  const known = Promise.withResolvers<void>();
  const mesh = await start(t, { endpoints: 1, known: known.promise });
  const clients = await Promise.all(Array.from({ length: 80 }, () => socketAt(t)));
  const large = Buffer.alloc(60_000);
  for (const [index, client] of clients.entries()) {
    client.send(large, mesh.port, '127.0.0.1');
    // Sent at once, they would be lost before the sidecar reads them.
    await until(
      `flow ${index + 1}`,
      () => [...mesh.forwarder.flows].length,
      (count) => count === index + 1,
    );
  }
  t.is(mesh.counters.dropped.waiting, 80 - Math.floor((4 * 1024 * 1024) / large.length));
  t.is(mesh.forwarder.waitingRoom.bytes, (80 - mesh.counters.dropped.waiting) * large.length);
  known.resolve();
  await until(
    'no waiting bytes',
    () => mesh.forwarder.waitingRoom.bytes,
    (bytes) => bytes === 0,
  );
});

test('a quiet flow ends, and one too many makes the quietest end', async (t) => {
  const mesh = await start(t, { endpoints: 1, limits: { maxFlows: 2, flowIdleTimeoutMs: 2_000 } });
  const clients = await Promise.all([socketAt(t), socketAt(t), socketAt(t)]);
  for (const client of clients) await ask(client, mesh.port, 'who?');
  t.is(mesh.counters.closed.evicted, 1);
  await until(
    '2 idle flows closed',
    () => mesh.counters.closed.idle,
    (count) => count === 2,
  );
  t.is([...mesh.forwarder.flows].length, 0);
  t.is(typeof (await ask(clients[0], mesh.port, 'who?')), 'string');
});

test('a datagram that is too long for the way does not cost the flow its endpoint', async (t) => {
  const mesh = await start(t, { endpoints: 2, host: '::1' });
  const client = await socketAt(t, '::1');
  const first = await ask(client, mesh.port, 'who?', '::1');
  // As long as one over IPv6 can be, and longer than one over IPv4.
  client.send(Buffer.alloc(65_520), mesh.port, '::1');
  await until(
    'a datagram that could not be sent',
    () => mesh.counters.dropped['send-failed'],
    (count) => count === 1,
  );
  t.is(await ask(client, mesh.port, 'who?', '::1'), first);
  t.is(mesh.counters.refused, 0);
  t.is(mesh.counters.moved, 0);
});

test('upstreams of one port on two addresses have flows of their own', async (t) => {
  const mesh = await start(t, { endpoints: 1, answer: (bytes) => bytes });
  const other = mesh.forwarder.listen({
    address: { address: '127.0.0.2', port: mesh.port },
    destination: DESTINATION,
  });
  t.true(other.ok);
  const client = await socketAt(t, '0.0.0.0');
  for (const host of ['127.0.0.1', '127.0.0.2']) {
    const answer = once(client, 'message');
    client.send(host, mesh.port, host);
    const [bytes, from] = (await answer) as [Buffer, { readonly address: string }];
    t.is(String(bytes), host);
    t.is(from.address, host);
  }
  t.is(mesh.counters.opened, 2);
});

test('an endpoint that is this sidecar itself is not sent to, and others are', async (t) => {
  const dns = await socketAt(t);
  const itsDns = { address: '127.0.0.1', port: dns.address().port };
  dns.on('message', () => t.fail());
  const mesh = await start(t, { endpoints: 1, alsoListening: [itsDns] });
  const [other] = mesh.candidates;
  const itself = [candidateOf(mesh.port), candidateOf(itsDns.port)];
  mesh.setCandidates(itself);
  const client = await socketAt(t);
  client.send('round and round', mesh.port, '127.0.0.1');
  await until(
    'a datagram dropped for want of an endpoint',
    () => mesh.counters.dropped['no-endpoint'],
    (count) => count === 1,
  );
  t.is(mesh.counters.sentDatagrams, 0);
  mesh.setCandidates([...itself, other!]);
  for (let asker = 0; asker < 4; asker++) {
    t.is(await ask(await socketAt(t), mesh.port, 'who?'), nameOf(other!));
  }
});

test('what is to go where it was going does, and moves when that is another address', async (t) => {
  const mesh = await start(t, { endpoints: 2 });
  const [first, second] = mesh.candidates;
  mesh.decide(passTo(first!));
  const listening = mesh.forwarder.listen({
    address: { address: '127.0.0.1', port: 0 },
    destination: { kind: 'address', address: first!.address, port: first!.port, protocol: 'udp' },
  });
  if (!listening.ok) throw new Error(listening.code);
  const { port } = listening.address;
  const client = await socketAt(t);
  t.is(await ask(client, port, 'who?'), nameOf(first!));
  t.is(await ask(client, port, 'who?'), nameOf(first!));
  t.like(mesh.forwarder.view()['pass-through'], { openFlows: 1, endpoints: { [first!.id]: 1 } });
  mesh.decide(passTo(second!));
  t.is(await ask(client, port, 'who?'), nameOf(second!));
  mesh.decide(passTo(candidateOf(port)));
  client.send('round and round', port, '127.0.0.1');
  const [, passed] = [...mesh.forwarder.services];
  await until(
    'a datagram dropped for want of an endpoint',
    () => passed!.counters.dropped['no-endpoint'],
    (count) => count === 1,
  );
});

test('a flow that was passed through is balanced again once its Service has endpoints', async (t) => {
  const mesh = await start(t, { endpoints: 2 });
  const [first, second] = mesh.candidates;
  const client = await socketAt(t);
  const balanced = decisionOf([first!]);
  for (const [decision, expected] of [
    [balanced, first],
    [passTo(second!), second],
    [balanced, first],
  ] as const) {
    mesh.decide(decision);
    t.is(await ask(client, mesh.port, 'who?'), nameOf(expected!));
  }
});

test('clients of either family that reach a listener of both are known by their own addresses', async (t) => {
  const mesh = await start(t, { endpoints: 1, host: '::' });
  await ask(await socketAt(t), mesh.port, 'who?');
  await ask(await socketAt(t, '::1'), mesh.port, 'who?', '::1');
  const addresses = [...mesh.forwarder.flows].map(({ clientAddress }) => clientAddress);
  t.deepEqual(addresses, ['127.0.0.1', '::1']);
});

test('what waited and could not be sent is counted', async (t) => {
  const known = Promise.withResolvers<void>();
  const mesh = await start(t, { endpoints: 1, host: '::1', known: known.promise });
  const client = await socketAt(t, '::1');
  // As long as one over IPv6 can be, and longer than one over IPv4.
  client.send(Buffer.alloc(65_520), mesh.port, '::1');
  client.send('short', mesh.port, '::1');
  await until(
    'both datagrams waiting',
    () => mesh.forwarder.waitingRoom.bytes,
    (bytes) => bytes >= 65_520 + 5,
  );
  known.resolve();
  await until(
    'an answer',
    () => mesh.counters.receivedDatagrams,
    (count) => count === 1,
  );
  t.is(mesh.counters.dropped['send-failed'], 1);
});

test('a wait for endpoints that ends without word of them costs what waited, and nothing else', async (t) => {
  const mesh = await start(t, { endpoints: 1 });
  const [there] = mesh.candidates;
  mesh.decide({ action: 'load', service: DESTINATION.service });
  const client = await socketAt(t);
  client.send('anybody?', mesh.port, '127.0.0.1');
  await until(
    'a waiting datagram dropped',
    () => mesh.counters?.dropped.waiting,
    (count) => count === 1,
  );
  mesh.decide(decisionOf([there!]));
  t.is(await ask(client, mesh.port, 'who?'), nameOf(there!));
});

test('while it drains answers still come, and no flow is opened', async (t) => {
  const mesh = await start(t, { endpoints: 1, answer: () => 'late', afterMs: 100 });
  const client = await socketAt(t);
  const answer = ask(client, mesh.port, 'who?');
  await until(
    'a sent datagram',
    () => mesh.counters.sentDatagrams,
    (count) => count > 0,
  );
  const drained = mesh.forwarder.drain(10_000);
  t.is(await answer, 'late');
  await drained;
  t.is(mesh.counters.closed.drained, 1);
});

interface Wanted {
  /** Where clients send to; endpoints are on IPv4. */
  readonly host?: string;
  readonly endpoints: number;
  readonly known?: Promise<void>;
  readonly limits?: FlowForwarderOptions['limits'];
  readonly alsoListening?: FlowForwarderOptions['alsoListening'];
  /** Without it, an endpoint answers what it is called. */
  readonly answer?: (bytes: Buffer) => Buffer | string;
  readonly afterMs?: number;
}

async function start(t: ExecutionContext, wanted: Wanted) {
  const { host = '127.0.0.1', endpoints, known, limits, alsoListening, answer, afterMs } = wanted;
  const servers = new Map<string, Socket>();
  const candidates: Candidate[] = [];
  for (let index = 0; index < endpoints; index++) {
    const server = await socketAt(t);
    const candidate = candidateOf(server.address().port);
    candidates.push(candidate);
    servers.set(nameOf(candidate), server);
    let isOpen = true;
    server.once('close', () => (isOpen = false));
    server.on('message', (bytes, from) => {
      const reply = answer?.(bytes) ?? nameOf(candidate);
      setTimeout(() => isOpen && server.send(reply, from.port, from.address), afterMs ?? 0);
    });
  }
  let decision = decisionOf(candidates);
  let isKnown = known === undefined;
  const learn = async (): Promise<void> => {
    await known;
    isKnown = true;
  };
  void learn();
  const routes: Routes = {
    decide: () => (isKnown ? decision : { action: 'load', service: DESTINATION.service }),
    doubt: () => false,
    use: () => ({ known: known ?? Promise.resolve(), release() {} }),
  };
  const balancer = new Balancer({ random: Math.random, policyOf: () => 'round-robin' });
  const forwarder = new FlowForwarder({
    routes,
    balancer,
    log,
    udp: new Udp(),
    ...(limits === undefined ? {} : { limits }),
    ...(alsoListening === undefined ? {} : { alsoListening }),
  });
  t.teardown(() => forwarder.drain(0));
  const listening = forwarder.listen({ address: { address: host, port: 0 }, destination: DESTINATION });
  if (!listening.ok) throw new Error(listening.code);
  return {
    forwarder,
    balancer,
    port: listening.address.port,
    get counters() {
      return [...forwarder.services][0]!.counters;
    },
    get candidates() {
      return decision.action === 'balance' ? decision.group.candidates : [];
    },
    setCandidates(next: readonly Candidate[]) {
      decision = decisionOf(next);
    },
    decide(next: Decision) {
      decision = next;
    },
    stop: (name: string) => servers.get(name)?.close(),
  };
}

function decisionOf(candidates: readonly Candidate[]): Decision {
  if (candidates.length === 0) return { action: 'refuse', reason: 'no-endpoints', detail: 'None.' };
  const group = {
    service: { key: DESTINATION.service },
    port: { port: 53, protocol: 'udp' },
    candidates,
  } as unknown as EndpointGroup;
  return { action: 'balance', group };
}

function passTo({ address, port }: Candidate): Decision {
  return { action: 'pass-through', address, port };
}

/** Avoided, or until some time ago: so it does not matter how late a busy machine asks. */
function hasFailed(load: EndpointLoad): boolean {
  return load.isAvoided(0);
}

function candidateOf(port: number): Candidate {
  return { id: `127.0.0.1:${port}`, address: '127.0.0.1', port, zone: '', node: '' };
}

function nameOf({ id }: Candidate): string {
  return `endpoint ${id}`;
}

async function socketAt(t: ExecutionContext, host = '127.0.0.1'): Promise<Socket> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  let isOpen = true;
  socket.on('close', () => {
    isOpen = false;
  });
  t.teardown(() => {
    if (isOpen) socket.close();
  });
  return socket;
}

async function ask(socket: Socket, port: number, text: string, host = '127.0.0.1'): Promise<string> {
  const answer = once(socket, 'message');
  socket.send(text, port, host);
  const [bytes] = (await answer) as [Buffer];
  return String(bytes);
}

/** Again and again, as programs do over UDP. */
async function askUntil(socket: Socket, port: number): Promise<string> {
  const answer = once(socket, 'message');
  const timer = setInterval(() => socket.send('again', port, '127.0.0.1'), 20);
  const [bytes] = (await answer) as [Buffer];
  clearInterval(timer);
  return String(bytes);
}
