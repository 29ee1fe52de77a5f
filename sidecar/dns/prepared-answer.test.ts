import test from 'ava';
import { addressesIn, queryFor } from './alias.ts';
import { TABLE_TTL } from './answer.ts';
import { DnsCounters } from './counters.ts';
import { FLAG, PLAIN_LIMIT, TYPE, uint16 } from './protocol.ts';
import { EDNS, type Edns, OPT_BYTES, QueryReader, writeOpt } from './query.ts';
import type { ResourceRecord } from './record.ts';
import { PreparedAnswer } from './prepared-answer.ts';
import { askedIn } from './table-answers.ts';
import { AnswerWriter, OUR_LIMIT, withOpt } from './writer.ts';

const NAME = 'web.demo.svc.cluster.local';
const WHOLE = 65_535;

function queryOf(type: number, edns: Edns): QueryReader {
  const question = queryFor(NAME.split('.'), type);
  const bytes = new Uint8Array(question.length + (edns === EDNS.NONE ? 0 : OPT_BYTES));
  bytes.set(question);
  if (edns !== EDNS.NONE) {
    bytes[11] = 1;
    writeOpt(bytes, question.length, edns, OUR_LIMIT);
  }
  const query = new QueryReader(7);
  query.read(bytes, 0, bytes.length);
  return query;
}

function prepared(query: QueryReader, answers: readonly ResourceRecord[]): PreparedAnswer {
  const count = new DnsCounters().of(query.type, 'table', 0);
  const reply = { rcode: 0, isAuthoritative: true, answers, additional: [] };
  return new PreparedAnswer(askedIn(query), reply, { writer: new AnswerWriter(), count });
}

function addresses(type: 'A' | 'AAAA', count: number): ResourceRecord[] {
  const prefix = type === 'A' ? '10.0.0.' : 'fd00::1:';
  return Array.from({ length: count }, (_, index) => {
    return { type, name: NAME, ttl: TABLE_TTL, address: `${prefix}${index}` };
  });
}

function addressesOf(message: Uint8Array): string[] {
  return addressesIn(message).map((record) => ('address' in record ? record.address : record.type));
}

function hasOptAtItsEnd(message: Uint8Array): boolean {
  const at = message.length - OPT_BYTES;
  return uint16(message, 10) === 1 && message[at] === 0 && uint16(message, at + 1) === TYPE.OPT;
}

for (const type of ['A', 'AAAA'] as const) {
  for (const [kind, edns] of Object.entries(EDNS)) {
    test(`each of 200 ${type} records is the first in turn, whole and cut, with EDNS ${kind}`, (t) => {
      const query = queryOf(TYPE[type], edns);
      const answer = prepared(query, addresses(type, 200));
      const first = { cut: new Set<string>(), whole: new Set<string>() };
      for (let time = 0; time < 200; time++) {
        // As whoever is told to comes again by TCP.
        const cut = answer.bytesFor(query, PLAIN_LIMIT);
        const some = addressesOf(cut);
        first.cut.add(some[0] ?? '');
        t.not(uint16(cut, 2) & FLAG.TRUNCATED, 0);
        t.true(cut.length <= PLAIN_LIMIT && cut.length > PLAIN_LIMIT - 28);
        t.is(uint16(cut, 6), new Set(some).size);
        const whole = answer.bytesFor(query, WHOLE);
        const all = addressesOf(whole);
        first.whole.add(all[0] ?? '');
        t.is(uint16(whole, 2) & FLAG.TRUNCATED, 0);
        t.is(new Set(all).size, 200);
        t.true(edns === EDNS.NONE || (hasOptAtItsEnd(cut) && hasOptAtItsEnd(whole)));
      }
      t.is(first.cut.size, 200);
      t.is(first.whole.size, 200);
    });
  }
}

test('askers with EDNS and without it are sent the same, each with what they asked for', (t) => {
  const answer = prepared(queryOf(TYPE.A, EDNS.NONE), addresses('A', 3));
  for (let time = 0; time < 3; time++) {
    for (const edns of [EDNS.PLAIN, EDNS.NONE, EDNS.DNSSEC]) {
      const message = answer.bytesFor(queryOf(TYPE.A, edns), WHOLE);
      t.is(addressesOf(message).length, 3);
      t.is(uint16(message, 10), edns === EDNS.NONE ? 0 : 1);
      if (edns !== EDNS.NONE) t.is(message.at(-4), edns === EDNS.DNSSEC ? 0x80 : 0);
    }
  }
});

test('records of other types, and one alone, stay as they are', (t) => {
  const targets = ['a', 'longer', 'c'];
  const query = queryOf(TYPE.SRV, EDNS.PLAIN);
  const services = prepared(
    query,
    targets.map((target) => ({ type: 'SRV', name: NAME, ttl: TABLE_TTL, weight: 33, port: 80, target })),
  );
  const before = services.bytesFor(query, WHOLE).slice();
  t.deepEqual(services.bytesFor(query, WHOLE), before);
  const one = prepared(query, addresses('A', 1));
  t.deepEqual(addressesOf(one.bytesFor(query, WHOLE)), ['10.0.0.0']);
  t.deepEqual(addressesOf(one.bytesFor(query, WHOLE)), ['10.0.0.0']);
});

test('however long an answer may be, it has the records that fit, with their addresses as far as those do', (t) => {
  const targets = Array.from({ length: 20 }, (_, index) => `pod-${index}.${NAME}`);
  const answers = targets.map((target) => {
    return { type: 'SRV', name: NAME, ttl: TABLE_TTL, weight: 5, port: 80, target } as const;
  });
  const additional = targets.map((name, index) => {
    return { type: 'A', name, ttl: TABLE_TTL, address: `10.0.0.${index}` } as const;
  });
  const reply = { rcode: 0, isAuthoritative: true, answers, additional };
  for (const edns of [EDNS.NONE, EDNS.PLAIN]) {
    const query = queryOf(TYPE.SRV, edns);
    const writer = new AnswerWriter();
    const count = new DnsCounters().of(query.type, 'table', 0);
    const answer = new PreparedAnswer(askedIn(query), reply, { writer, count });
    const optBytes = edns === EDNS.NONE ? 0 : OPT_BYTES;
    const { length } = answer.bytesFor(query, WHOLE);
    for (let limit = PLAIN_LIMIT; limit <= length; limit += 7) {
      const expected = withOpt(writer.write(askedIn(query), reply, limit - optBytes), edns);
      const found = answer.bytesFor(query, limit);
      t.true(found.length <= limit);
      t.deepEqual(found, expected, `${limit} bytes`);
    }
  }
});
