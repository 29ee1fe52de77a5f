import test from 'ava';
import { NameServer } from '../../../test/dns/name-server.ts';
import { Udp } from '../../datagram/udp.ts';
import { queryFor } from '../alias.ts';
import { DnsCounters } from '../counters.ts';
import { QueryReader } from '../query.ts';
import { AnswerCache } from './cache.ts';
import { Forwarder } from './forwarder.ts';
import { Server, Servers } from './servers.ts';
import { ServerSockets } from './sockets.ts';

/** More than are asked again in one sweep. */
const MANY = 1_000;

test('however many are not answered, all are told so when their time is up', async (t) => {
  const silent = await NameServer.start(() => []);
  const { address } = silent;
  const clock = { ms: 0 };
  const counters = new DnsCounters();
  const now = () => clock.ms;
  let id = 0;
  const sockets = new ServerSockets(new Udp(), address, {
    random: () => id++ & 0xffff,
    mismatched: () => t.fail(),
  });
  const forwarder = new Forwarder({
    servers: new Servers([new Server(address, sockets)]),
    cache: new AnswerCache(1 << 20, counters, now),
    counters,
    now,
  });
  const first = Promise.withResolvers<void>();
  let failed = 0;
  for (let index = 0; index < MANY; index++) {
    const query = new QueryReader(7);
    const bytes = queryFor([`x${index}`, 'example', 'com'], 1);
    query.read(bytes, 0, bytes.length);
    forwarder.forward({
      query,
      isQuestion: true,
      source: 'one',
      transport: 'udp',
      limit: 512,
      aliases: 0,
      isWaiting: true,
      reply: () => {
        failed++;
        first.resolve();
      },
    });
  }
  clock.ms = 4_000;
  await first.promise;
  t.is(failed, MANY);
  t.is(counters.retries, 0);
  t.is(forwarder.flightCount, 0);
  forwarder.close();
  silent.close();
});
