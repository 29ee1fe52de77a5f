import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { ask } from '../../test/dns/ask.ts';
import { addressAnswer, type Behaviour, framed, rcodeAnswer } from '../../test/dns/name-server.ts';
import { startProxy as start } from '../../test/dns/proxy.ts';
import { until } from '../../test/until.ts';
import { queryFor } from './alias.ts';
import { FLAG } from './protocol.ts';

const answering: Behaviour = (query) => [addressAnswer(query)];
const silent: Behaviour = () => [];

function joined(query: Uint8Array, more: readonly number[]): Uint8Array {
  return Uint8Array.from([...query, ...more]);
}

const forged: Behaviour = (query) => {
  const wrongId = addressAnswer(query, { count: 3 });
  wrongId.writeUInt16BE(query.readUInt16BE(0) ^ 1, 0);
  const wrongQuestion = addressAnswer(query, { count: 3 });
  wrongQuestion[13] = (wrongQuestion[13] ?? 0) ^ 0x20;
  return [wrongId, wrongQuestion, Buffer.alloc(3), query, addressAnswer(query, { count: 1 })];
};

/** What comes back for these bytes by UDP. */
async function exchange(port: number, bytes: Uint8Array): Promise<Buffer> {
  const socket = createSocket('udp4');
  socket.send(bytes, port, '127.0.0.1');
  const [answer] = (await once(socket, 'message')) as [Buffer];
  socket.close();
  return answer;
}

test('the table answers, by UDP and TCP, as the name was written', async (t) => {
  const { port, servers } = await start(t, answering);
  for (const transport of ['udp', 'tcp'] as const) {
    const name = 'Hello.demo.SVC.cluster.local';
    const { status, flags, answer } = await ask(port, { name, transport });
    t.is(status, 'NOERROR');
    t.deepEqual(flags, ['qr', 'aa', 'rd', 'ra']);
    t.deepEqual(answer, ['Hello.demo.SVC.cluster.local A 10.96.0.1']);
  }
  const absent = await ask(port, 'gone.demo.svc.cluster.local');
  t.is(absent.status, 'NXDOMAIN');
  t.deepEqual(absent.authority, [
    'cluster.local SOA ns.dns.cluster.local hostmaster.cluster.local 7200 1800 86400 5',
  ]);
  const srv = await ask(port, { type: 'SRV', name: '_web._tcp.hello.demo.svc.cluster.local' });
  t.deepEqual(srv.answer, [
    '_web._tcp.hello.demo.svc.cluster.local SRV 0 100 80 hello.demo.svc.cluster.local',
  ]);
  t.deepEqual(srv.additional, ['hello.demo.svc.cluster.local A 10.96.0.1']);
  t.deepEqual((await ask(port, { type: 'PTR', name: '1.0.96.10.in-addr.arpa' })).answer, [
    '1.0.96.10.in-addr.arpa PTR hello.demo.svc.cluster.local',
  ]);
  t.is(servers[0]?.asked.length, 0);
});

test('who comes first, and by TCP, is answered as he wrote, and as the server did', async (t) => {
  const { port } = await start(t, (query) => [addressAnswer(query, { flags: 0x8580 })]);
  const byTcp = (name: string) => ask(port, { name, transport: 'tcp' });
  t.deepEqual((await byTcp('Hello.Demo.svc.cluster.local')).answer, [
    'Hello.Demo.svc.cluster.local A 10.96.0.1',
  ]);
  const { answer, flags } = await byTcp('WWW.example.com');
  t.deepEqual(answer, ['WWW.example.com A 192.0.2.1']);
  t.true(flags.includes('aa'));
  t.false((await byTcp('www.example.com')).flags.includes('aa'), 'from the cache');
});

test('endpoints are waited for, and are in another order each time', async (t) => {
  const { port } = await start(t, answering);
  const orders = new Set<string>();
  for (let time = 0; time < 4; time++) {
    const { answer } = await ask(port, 'pods.demo.svc.cluster.local');
    t.deepEqual(answer.toSorted(), [
      'pods.demo.svc.cluster.local A 10.0.0.1',
      'pods.demo.svc.cluster.local A 10.0.0.2',
    ]);
    orders.add(answer.join());
  }
  t.is(orders.size, 2);
});

test('what is too long for the asker is cut and says so, and comes whole by TCP', async (t) => {
  const { port } = await start(t, answering);
  const name = 'many.demo.svc.cluster.local';
  const cut = await ask(port, { name, transport: 'udp-only', edns: 'none' });
  t.true(cut.isCut);
  t.true(cut.answer.length > 10 && cut.answer.length < 40);
  t.is((await ask(port, { name, transport: 'udp-only', edns: 4096 })).answer.length, 200);
  t.is((await ask(port, { name, edns: 'none' })).answer.length, 200);
});

test('aliases lead on, in the cluster, outside of it, and never in circles', async (t) => {
  const { port } = await start(t, (query) => [addressAnswer(query, { count: 2 })]);
  const inside = await ask(port, 'inside.demo.svc.cluster.local');
  t.deepEqual(inside.answer, [
    'inside.demo.svc.cluster.local CNAME hello.demo.svc.cluster.local',
    'hello.demo.svc.cluster.local A 10.96.0.1',
  ]);
  const outside = await ask(port, 'outside.demo.svc.cluster.local');
  t.deepEqual(outside.answer, [
    'outside.demo.svc.cluster.local CNAME www.example.com',
    'www.example.com A 192.0.2.1',
    'www.example.com A 192.0.2.2',
  ]);
  const alias = await ask(port, { type: 'CNAME', name: 'outside.demo.svc.cluster.local' });
  t.deepEqual(alias.answer, outside.answer.slice(0, 1));
  t.is((await ask(port, 'circle.demo.svc.cluster.local')).status, 'NOERROR');
});

test('an alias comes with all addresses of its target, where the server cuts its answer too', async (t) => {
  const { port, servers } = await start(t, (query, transport) => [
    transport === 'udp'
      ? addressAnswer(query, { count: 1, ttl: 0, flags: 0x8380 })
      : addressAnswer(query, { count: 100, ttl: 0 }),
  ]);
  const name = 'outside.demo.svc.cluster.local';
  const whole = await ask(port, { name, transport: 'udp-only', edns: 4096 });
  t.is(whole.answer.length, 101);
  t.false(whole.isCut);
  t.is((await ask(port, { name, transport: 'tcp' })).answer.length, 101);
  const cut = await ask(port, { name, transport: 'udp-only', edns: 'none' });
  t.true(cut.isCut);
  t.true(cut.answer.length > 1 && cut.answer.length < 40);
  servers[0]?.closeTcp();
  t.is((await ask(port, { name, transport: 'udp-only' })).status, 'SERVFAIL');
});

test('whatever else is asked gets there byte for byte, and its answer comes back so', async (t) => {
  const { port, servers } = await start(t, (query) => [
    Buffer.concat([addressAnswer(query), Buffer.from('tail')]),
  ]);
  const queries = {
    plain: queryFor(['www', 'Example', 'com'], 257),
    'another class': queryFor(['version', 'bind'], 16).with(29, 3),
    update: queryFor(['example', 'com'], 6).with(2, 0x28),
    'an option': joined(
      queryFor(['example', 'org'], 1).with(11, 1),
      [0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
    ),
    'something behind': joined(queryFor(['example', 'net'], 1), [1, 2, 3]),
  };
  for (const [what, query] of Object.entries(queries)) {
    query[0] = 0xab;
    query[1] = 0xcd;
    const answer = await exchange(port, query);
    const asked = servers[0]?.asked.at(-1) ?? Buffer.alloc(0);
    t.deepEqual(asked.subarray(2), Buffer.from(query.subarray(2)), what);
    t.is(answer.readUInt16BE(0), 0xabcd);
    t.deepEqual(
      answer.subarray(2),
      Buffer.concat([addressAnswer(asked), Buffer.from('tail')]).subarray(2),
      what,
    );
  }
});

test('answers are kept, but for those between two', async (t) => {
  const { port, servers } = await start(t, (query) => [addressAnswer(query, { ttl: 3_600 })]);
  const asked = async (name: string, cookie: boolean) => {
    t.is((await ask(port, { name, cookie })).status, 'NOERROR');
    return servers[0]?.asked.length;
  };
  t.is(await asked('www.example.com', true), 1);
  t.is(await asked('WWW.example.com', false), 2, 'a cookie is between two');
  t.is(await asked('www.example.com', false), 2);
  t.is(await asked('www.example.com', true), 3);
});

test('what many ask at once is asked once', async (t) => {
  const { port, servers } = await start(t, silent);
  const query = queryFor(['www', 'example', 'com'], 1);
  const answers = Array.from({ length: 20 }, () => exchange(port, query));
  await until(
    'the question at the server',
    () => servers[0]?.asked.length ?? 0,
    (count) => count > 0,
  );
  const [server] = servers;
  if (server !== undefined) server.behave = answering;
  t.is((await Promise.all(answers)).length, 20);
  // The first was not answered: it was asked again.
  t.is(server?.asked.length, 2);
});

test('what many ask at once by TCP is asked once, and each is answered by the id of his own', async (t) => {
  const answered = Promise.withResolvers<void>();
  const { port, servers } = await start(t, async (query) => {
    await answered.promise;
    return [addressAnswer(query)];
  });
  const sockets = Array.from({ length: 300 }, (_, id) => {
    const query = Buffer.from(queryFor(['www', 'example', 'com'], 1));
    query.writeUInt16BE(id);
    const socket = connect(port, '127.0.0.1');
    socket.write(framed(query));
    return socket;
  });
  await until(
    'the first server is asked once',
    async () => servers[0]?.asked.length,
    (count) => count === 1,
  );
  const answers = sockets.map(async (socket) => {
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return [answer.readUInt16BE(2), answer.readUInt16BE(4) & 0xf];
  });
  answered.resolve();
  t.deepEqual(
    await Promise.all(answers),
    sockets.map((_, id) => [id, 0]),
  );
  t.is(servers[0]?.asked.length, 1);
});

test('nobody is sent more by UDP than he takes, whatever he asks', async (t) => {
  const { port } = await start(t, (query) => [Buffer.concat([addressAnswer(query), Buffer.alloc(20_000)])]);
  const query = queryFor(['www', 'example', 'com'], 1);
  for (const [what, unusual] of Object.entries({
    plain: query,
    update: query.with(2, 0x28),
    'something behind': joined(query, [0]),
  })) {
    const answer = await exchange(port, unusual);
    t.true(answer.length <= query.length, what);
    t.true((answer.readUInt16BE(2) & FLAG.TRUNCATED) !== 0, what);
  }
});

test('a server that is away costs a second, a refusal nothing, and then another answers', async (t) => {
  const { port, servers, proxy } = await start(t, silent, answering);
  t.deepEqual((await ask(port, 'a.example.com')).answer, ['a.example.com A 192.0.2.1']);
  t.is(proxy.counters.retries, 1);
  const refusing = await start(t, (query) => [rcodeAnswer(query, 2)], answering);
  t.is((await ask(refusing.port, 'b.example.com')).status, 'NOERROR');
  t.is(servers[0]?.asked.length, 1);
});

test('a refusal that repeats no question is one too, and is not kept', async (t) => {
  for (const rcode of [2, 5]) {
    const refusing: Behaviour = (query) => {
      const header = rcodeAnswer(query, rcode).subarray(0, 12);
      header.writeUInt16BE(0, 4);
      return [header];
    };
    const { port, servers, proxy } = await start(t, refusing, answering);
    t.is((await ask(port, 'www.example.com')).status, 'NOERROR');
    // More where a busy machine kept the second server from answering in time.
    t.true(proxy.counters.retries >= 1);
    t.is(proxy.counters.mismatched, 0);
    const [, second] = servers;
    if (second !== undefined) second.behave = refusing;
    const name = 'other.example.com';
    const expected = rcode === 2 ? 'SERVFAIL' : 'REFUSED';
    t.deepEqual([(await ask(port, name)).status, (await ask(port, name)).status], [expected, expected]);
    t.is(second?.asked.length, 3);
  }
});

test('a server that takes longer than it may is heard all the same', async (t) => {
  const { port, servers, proxy } = await start(t, silent);
  const again = Promise.withResolvers<void>();
  const [server] = servers;
  if (server !== undefined) {
    server.behave = async (query) => {
      if (server.asked.length > 1) again.resolve();
      await again.promise;
      return server.asked[0] === query ? answering(query, 'udp') : [];
    };
  }
  t.deepEqual((await ask(port, 'www.example.com')).answer, ['www.example.com A 192.0.2.1']);
  t.is(proxy.counters.retries, 1);
  t.is(proxy.counters.mismatched, 0);
});

test('a refusal that comes late is none where another is asked', async (t) => {
  const asked = Promise.withResolvers<void>();
  const refused = Promise.withResolvers<void>();
  const { port, proxy } = await start(
    t,
    async (query) => {
      await asked.promise;
      setImmediate(refused.resolve);
      return [rcodeAnswer(query, 5)];
    },
    async (query) => {
      asked.resolve();
      await refused.promise;
      await delay(50);
      return answering(query, 'udp');
    },
  );
  t.is((await ask(port, 'www.example.com')).status, 'NOERROR');
  t.true(proxy.counters.retries >= 1);
});

test('where nobody answers, an old answer is better than none', async (t) => {
  const { port, servers, proxy } = await start(t, (query) => [addressAnswer(query, { ttl: 1 })]);
  const askAgain = () => ask(port, 'www.example.com');
  t.is((await askAgain()).status, 'NOERROR');
  await delay(1_100);
  const [server] = servers;
  if (server !== undefined) server.behave = silent;
  const stale = await askAgain();
  t.deepEqual([stale.status, ...stale.ttls], ['NOERROR', 30]);
  const unanswered = ['never', 'neither'].map((name) =>
    ask(port, { name: `${name}.example.com`, timeoutMs: 8_000 }),
  );
  t.deepEqual(
    (await Promise.all(unanswered)).map(({ status }) => status),
    ['SERVFAIL', 'SERVFAIL'],
  );
  t.deepEqual([(await askAgain()).ttls, (await askAgain()).ttls], [[30], [30]], 'for whoever asks');
  t.is(proxy.forwarder.flightCount, 1, 'and asked for again');
});

test('no old answer is given where another server has a new one', async (t) => {
  const { port, servers } = await start(
    t,
    (query) => [addressAnswer(query, { ttl: 1 })],
    (query) => [addressAnswer(query, { count: 2 })],
  );
  t.is((await ask(port, 'www.example.com')).answer.length, 1);
  await delay(1_100);
  const [first] = servers;
  if (first !== undefined) first.behave = silent;
  t.is((await ask(port, 'www.example.com')).answer.length, 2);
});

test('one name that is never answered makes no server be down', async (t) => {
  const { port, servers, proxy } = await start(t, (query) => [addressAnswer(query, { ttl: 1 })]);
  const askAgain = () => ask(port, 'www.example.com');
  t.is((await askAgain()).status, 'NOERROR');
  const [server] = servers;
  if (server !== undefined) server.behave = silent;
  t.is((await ask(port, { name: 'never.example.com', timeoutMs: 8_000 })).status, 'SERVFAIL');
  t.true(proxy.counters.retries > 1);
  if (server !== undefined) server.behave = answering;
  t.notDeepEqual((await askAgain()).ttls, [30], 'the server is asked, and no old answer is given');
});

/** A name that begins with n. */
function isOther(query: Buffer): boolean {
  return query[13] === 0x6e;
}

test('however many other names are not answered, a server that answers this one is waited for', async (t) => {
  const { port, servers } = await start(t, (query) => [addressAnswer(query, { ttl: 1 })]);
  const askAgain = () => ask(port, 'www.example.com');
  t.is((await askAgain()).status, 'NOERROR');
  const [server] = servers;
  if (server !== undefined) {
    server.behave = (query) => (isOther(query) ? [] : [addressAnswer(query, { ttl: 1, count: 2 })]);
  }
  const unanswered = Array.from({ length: 5 }, (_, index) =>
    ask(port, { name: `never-${index}.example.com`, timeoutMs: 8_000 }),
  );
  await until(
    '10 questions for the other name at the server',
    async () => server?.asked.filter(isOther).length,
    (count) => (count ?? 0) >= 10,
  );
  t.is((await askAgain()).answer.length, 2, 'as it is now');
  for (const { status } of await Promise.all(unanswered)) t.is(status, 'SERVFAIL');
});

test('once a server answers anything again, no old answer is given at once', async (t) => {
  const { port, servers, proxy } = await start(t, (query) => [addressAnswer(query, { ttl: 1 })]);
  const askAgain = () => ask(port, 'www.example.com');
  t.is((await askAgain()).status, 'NOERROR');
  await delay(1_050);
  const [server] = servers;
  if (server !== undefined) server.behave = silent;
  t.deepEqual((await askAgain()).ttls, [30]);
  // Until nothing is under way any more that could be answered.
  await until(
    'no upstream query under way',
    async () => proxy.forwarder.flightCount,
    (count) => count === 0,
  );
  if (server !== undefined) server.behave = (query) => [addressAnswer(query, { ttl: 1, count: 2 })];
  t.is((await ask(port, 'other.example.com')).status, 'NOERROR');
  t.is((await askAgain()).answer.length, 2);
});

test('forged answers are not taken', async (t) => {
  const { port, proxy } = await start(t, forged);
  t.is((await ask(port, 'www.example.com')).answer.length, 1);
  t.true(proxy.counters.mismatched >= 4);
});

test('by TCP neither, and none of them is kept', async (t) => {
  const { port, proxy } = await start(t, forged);
  const byTcp = { name: 'www.example.com', transport: 'tcp' } as const;
  t.is((await ask(port, byTcp)).answer.length, 1);
  t.true(proxy.counters.mismatched >= 4);
  t.is((await ask(port, byTcp)).answer.length, 1);
});

test('where what was cut cannot be had by TCP, that is said, and others are answered', async (t) => {
  const { port, servers } = await start(t, (query) => [
    query[13] === 0x62 ? addressAnswer(query, { count: 0, flags: 0x8380 }) : addressAnswer(query),
  ]);
  servers[0]?.closeTcp();
  t.is((await ask(port, 'big.example.com')).status, 'SERVFAIL');
  t.is((await ask(port, 'www.example.com')).status, 'NOERROR');
});

test('what was cut by the server is asked for by TCP', async (t) => {
  const { port } = await start(t, (query, transport) => [
    transport === 'udp'
      ? addressAnswer(query, { count: 0, flags: 0x8380 })
      : addressAnswer(query, { count: 100 }),
  ]);
  const whole = await ask(port, 'big.example.com');
  t.is(whole.answer.length, 100);
});

test('by TCP another server is asked where one is away, and an old answer is better than none', async (t) => {
  const { port, servers } = await start(t, answering, (query) => [addressAnswer(query, { ttl: 1 })]);
  servers[0]?.close();
  const askAgain = () => ask(port, { name: 'www.example.com', transport: 'tcp' });
  t.deepEqual((await askAgain()).ttls, [1]);
  servers[1]?.close();
  await delay(1_100);
  t.deepEqual((await askAgain()).ttls, [30]);
});

test('what does not exist is left to others while no control plane answers', async (t) => {
  const { port, directory } = await start(t, answering);
  const askAgain = async () => (await ask(port, 'gone.demo.svc.cluster.local')).status;
  t.is(await askAgain(), 'NXDOMAIN');
  directory.sourceAnswers(false);
  t.is(await askAgain(), 'NOERROR');
  t.deepEqual((await ask(port, 'hello.demo.svc.cluster.local')).answer, [
    'hello.demo.svc.cluster.local A 10.96.0.1',
  ]);
  directory.sourceAnswers(true);
  t.is(await askAgain(), 'NXDOMAIN');
});

test('a client that asks and never reads is not read either', async (t) => {
  const { port, proxy } = await start(t, answering);
  const query = framed(queryFor(['many', 'demo', 'svc', 'cluster', 'local'], 1));
  const socket = connect(port, '127.0.0.1').pause();
  socket.on('error', () => {});
  // 160 MB of answers, if they were made.
  socket.write(Buffer.concat(Array.from({ length: 50_000 }, () => query)));
  const answered = () => [...proxy.counters.requests].reduce((sum, { value }) => sum + value, 0);
  let before = -1;
  while (answered() === 0 || answered() !== before) {
    before = answered();
    await delay(100);
  }
  t.true(answered() < 10_000, `${answered()} answers`);
  t.is((await ask(port, 'hello.demo.svc.cluster.local')).status, 'NOERROR');
  socket.destroy();
});

test('without any DNS server to ask, names of others are refused, however many', async (t) => {
  const { port } = await start(t);
  t.is((await ask(port, 'www.example.com')).status, 'SERVFAIL');
  const socket = connect(port, '127.0.0.1');
  const query = framed(queryFor(['a'], 1));
  const answers: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => answers.push(chunk));
  socket.end(Buffer.concat(Array.from({ length: 20_000 }, () => query)));
  await once(socket, 'close');
  t.is(Buffer.concat(answers).length, 20_000 * query.length);
});

test('many questions on one connection, in pieces, are all answered; then it ends', async (t) => {
  const { port } = await start(t, answering);
  const socket = connect(port, '127.0.0.1');
  const query = framed(queryFor(['hello', 'demo', 'svc', 'cluster', 'local'], 1));
  const all = Buffer.concat(Array.from({ length: 200 }, () => query));
  const answers: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => answers.push(chunk));
  for (let at = 0; at < all.length; at += 7_001) socket.write(all.subarray(at, at + 7_001));
  socket.end();
  await once(socket, 'close');
  t.is(Buffer.concat(answers).length, 200 * (query.length + 16));
});
