import test from 'ava';
import * as fc from 'fast-check';
import { addressAnswer, questionEnd, rcodeAnswer } from '../../../test/dns/name-server.ts';
import { addressesIn, queryFor } from '../alias.ts';
import { DnsCounters } from '../counters.ts';
import { QueryReader } from '../query.ts';
import { AnswerCache } from './cache.ts';
import { lifetimeOf } from './lifetime.ts';

function queryOf(...labels: readonly string[]): QueryReader {
  const query = new QueryReader(7);
  const bytes = Buffer.from(queryFor(labels, 1));
  query.read(bytes, 0, bytes.length);
  return query;
}

/** That nothing is there: with the start of a zone, its time to live and its minimum. */
function negative(query: QueryReader, ttl: number, minimum: number, rcode = 3): Buffer {
  const soa = Buffer.alloc(12 + 22);
  Buffer.from([0xc0, 12, 0, 6, 0, 1]).copy(soa);
  soa.writeUInt32BE(ttl, 6);
  soa.writeUInt16BE(22, 10);
  soa.writeUInt32BE(minimum, 30);
  const answer = Buffer.concat([rcodeAnswer(Buffer.from(query.data), rcode), soa]);
  answer.writeUInt16BE(1, 8);
  return answer;
}

function positive(query: QueryReader, ttl: number): Buffer {
  return addressAnswer(Buffer.from(query.data), { ttl });
}

function started(roomBytes = 1 << 20) {
  const clock = { ms: 0 };
  return { clock, cache: new AnswerCache(roomBytes, new DnsCounters(), () => clock.ms) };
}

test('an answer lives as long as its shortest record, and counts down', (t) => {
  const { clock, cache } = started();
  const query = queryOf('www', 'example', 'com');
  cache.store(query, positive(query, 60));
  clock.ms = 59_999;
  const found = cache.find(query);
  t.deepEqual([...(found?.bytes.subarray(-10, -6) ?? [])], [0, 0, 0, 1]);
  t.not(cache.find(queryOf('WWW', 'example', 'com')), undefined);
  t.is(cache.find(queryOf('www', 'example', 'org')), undefined);
  clock.ms = 60_000;
  t.is(cache.find(query), undefined);
  t.deepEqual([...(cache.findStale(query)?.bytes.subarray(-10, -6) ?? [])], [0, 0, 0, 30]);
  cache.store(query, positive(query, 10));
  t.deepEqual(
    [...(cache.findStale(query)?.bytes.subarray(-10, -6) ?? [])],
    [0, 0, 0, 10],
    'not past its time',
  );
  clock.ms = 70_000;
  clock.ms += 86_400_000;
  t.is(cache.findStale(query), undefined);
  t.is(cache.bytes, 0);
});

test('that nothing is there lives as long as the zone says, or not at all', (t) => {
  const query = queryOf('gone', 'example', 'com');
  t.is(lifetimeOf(negative(query, 300, 20))?.seconds, 20);
  t.is(lifetimeOf(negative(query, 10, 20))?.seconds, 10);
  t.is(lifetimeOf(negative(query, 10, 20, 0))?.seconds, 10, 'no data');
  t.is(lifetimeOf(rcodeAnswer(Buffer.from(query.data), 3)), undefined);
  t.is(lifetimeOf(rcodeAnswer(Buffer.from(query.data), 0)), undefined);
});

test('an alias that leads to nothing of what was asked lives as long as the zone says, or not at all', (t) => {
  const query = queryOf('alias', 'example', 'com');
  // A CNAME record at the question's name, of the root.
  const alias = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 2, 0, 0, 1, 0]);
  const aliased = (answer: Buffer, asked = 1) => {
    const end = questionEnd(answer);
    const whole = Buffer.concat([answer.subarray(0, end), alias, answer.subarray(end)]);
    whole.writeUInt16BE(answer.readUInt16BE(6) + 1, 6);
    whole.writeUInt16BE(asked, end - 4);
    return whole;
  };
  const bare = rcodeAnswer(Buffer.from(query.data), 0);
  t.is(lifetimeOf(aliased(bare)), undefined);
  t.is(lifetimeOf(aliased(negative(query, 300, 20, 0)))?.seconds, 20);
  t.is(lifetimeOf(aliased(positive(query, 60)))?.seconds, 60, 'it leads there');
  t.is(lifetimeOf(aliased(bare, 5))?.seconds, 512, 'it is what was asked for');
  t.is(lifetimeOf(aliased(bare, 255))?.seconds, 512, 'any will do');
});

test('errors, what was cut, what lives no time, and what cannot be read are not kept', (t) => {
  const query = queryOf('www', 'example', 'com');
  const whole = positive(query, 60);
  t.is(lifetimeOf(negative(query, 300, 20, 2)), undefined);
  t.is(lifetimeOf(positive(query, 0)), undefined);
  t.is(lifetimeOf(addressAnswer(Buffer.from(query.data), { flags: 0x8380 })), undefined);
  t.is(lifetimeOf(whole.subarray(0, -1)), undefined);
  t.is(lifetimeOf(Buffer.concat([whole, Buffer.alloc(1)])), undefined);
});

test('however much is kept, it takes no more than its room, and what is asked for stays', (t) => {
  const { cache } = started(40_000);
  const hot = queryOf('hot', 'example', 'com');
  cache.store(hot, positive(hot, 60));
  for (let index = 0; index < 1_000; index++) {
    const query = queryOf(`n${index}`, 'example', 'com');
    cache.store(query, positive(query, 60));
    t.not(cache.find(hot), undefined);
    t.true(cache.bytes <= 40_000);
  }
  t.true(cache.size > 20);
  const large = queryOf('large', 'example', 'com');
  cache.store(large, addressAnswer(Buffer.from(large.data), { count: 320 }));
  t.is(cache.find(large), undefined);
});

test('that servers do not answer is known for a while, until one does', (t) => {
  const { clock, cache } = started();
  const query = queryOf('www', 'example', 'com');
  cache.failed(query);
  t.false(cache.hasFailed(query, -Infinity), 'nothing is kept');
  cache.store(query, positive(query, 60));
  t.false(cache.hasFailed(query, -Infinity));
  clock.ms = 61_000;
  cache.failed(query);
  t.true(cache.hasFailed(query, 60_999));
  t.false(cache.hasFailed(query, 61_000), 'something was answered since');
  clock.ms += 29_999;
  t.true(cache.hasFailed(query, -Infinity));
  clock.ms += 1;
  t.false(cache.hasFailed(query, -Infinity));
  cache.failed(query);
  cache.store(query, positive(query, 60));
  t.false(cache.hasFailed(query, -Infinity));
});

test('no answer makes it throw', (t) => {
  const base = negative(queryOf('www', 'example', 'com'), 300, 20);
  const addresses = positive(queryOf('www', 'example', 'com'), 60);
  const mutated = fc
    .tuple(fc.constantFrom(base, addresses), fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 5 }))
    .map(([bytes, changes]) => {
      const copy = Buffer.from(bytes);
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      const lifetime = lifetimeOf(bytes);
      t.true(
        lifetime === undefined ||
          lifetime.ttls.every((at, index) => index % 2 === 1 || at + 4 <= bytes.length),
      );
      for (const { name } of addressesIn(bytes)) t.notRegex(name, /^$|\.\.|^\.|\.$/u);
    }),
    { numRuns: 5_000 },
  );
});
