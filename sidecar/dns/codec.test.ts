/** What is written and read of messages, held against a codec that others keep. */
import { SocketAddress } from 'node:net';
import test from 'ava';
import * as dnsPacket from 'dns-packet';
import * as fc from 'fast-check';
import { addressesIn } from './alias.ts';
import { EDNS, QueryReader } from './query.ts';
import type { ResourceRecord } from './record.ts';
import { askedIn } from './table-answers.ts';
import { lifetimeOf } from './upstream/lifetime.ts';
import { addressTo, AnswerWriter, withOpt } from './writer.ts';

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?$/u);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));
const ttl = fc.nat(86_400);
const ipv6 = fc.ipV6().map(canonical);

/** As the system writes it: there are several ways to. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

/** Of every type that is written, under few names, so that they are shortened. */
function records(names: fc.Arbitrary<string>): fc.Arbitrary<ResourceRecord> {
  const own = { name: names, ttl };
  return fc.oneof(
    fc.record({ ...own, type: fc.constant('A' as const), address: fc.ipV4() }),
    fc.record({ ...own, type: fc.constant('AAAA' as const), address: ipv6 }),
    fc.record({ ...own, type: fc.constantFrom('CNAME', 'PTR'), target: names }),
    fc.record({
      ...own,
      type: fc.constant('SRV' as const),
      weight: fc.nat(0xffff),
      port: fc.nat(0xffff),
      target: names,
    }),
    fc.record({ ...own, type: fc.constant('SOA' as const), serial: fc.nat(0xffff_ffff) }),
  );
}

/** As the other codec has it. */
function told(record: ResourceRecord): unknown {
  return {
    name: record.name,
    type: record.type,
    ttl: record.ttl,
    class: 'IN',
    flush: false,
    data: dataOf(record),
  };
}

function dataOf(record: ResourceRecord): unknown {
  switch (record.type) {
    case 'A':
    case 'AAAA':
      return record.address;
    case 'SRV':
      return { priority: 0, weight: record.weight, port: record.port, target: record.target };
    case 'SOA':
      return {
        mname: `ns.dns.${record.name}`,
        rname: `hostmaster.${record.name}`,
        serial: record.serial,
        refresh: 7_200,
        retry: 1_800,
        expire: 86_400,
        minimum: record.ttl,
      };
    default:
      return record.target;
  }
}

/** What the other codec has read, with its addresses written as ours are. */
function read(others: readonly dnsPacket.Answer[] = []): readonly unknown[] {
  return others.map((record) =>
    record.type === 'AAAA' ? Object.assign(record, { data: canonical(record.data) }) : record,
  );
}

function encode(packet: dnsPacket.Packet): Buffer {
  return dnsPacket.encode(packet);
}

const message = fc.array(name, { minLength: 1, maxLength: 4 }).chain((names) =>
  fc.record({
    asked: fc.constantFrom(...names),
    id: fc.nat(0xffff),
    answers: fc.array(records(fc.constantFrom(...names)), { maxLength: 12 }),
    authority: fc.array(records(fc.constantFrom(...names)), { maxLength: 2 }),
    additional: fc.array(records(fc.constantFrom(...names)), { maxLength: 6 }),
  }),
);

test('what is written is what others read', (t) => {
  const writer = new AnswerWriter();
  fc.assert(
    fc.property(message, ({ asked, id, ...sections }) => {
      const flags = dnsPacket.RECURSION_DESIRED;
      const bytes = encode({ type: 'query', id, flags, questions: [{ type: 'A', name: asked }] });
      const query = new QueryReader(1);
      t.is(query.read(bytes, 0, bytes.length), 'question');
      const plain = writer.write(askedIn(query), { rcode: 3, isAuthoritative: true, ...sections }, 65_535);
      addressTo(plain, query);
      const decoded = dnsPacket.decode(Buffer.from(withOpt(plain, EDNS.DNSSEC)));
      t.is(decoded.id, id);
      t.like(decoded, { type: 'response', rcode: 'NXDOMAIN', flag_aa: true, flag_rd: true, flag_tc: false });
      t.deepEqual(decoded.questions, [{ type: 'A', name: asked, class: 'IN' }]);
      t.deepEqual(read(decoded.answers), sections.answers.map(told));
      t.deepEqual(read(decoded.authorities), sections.authority.map(told));
      const [opt] = decoded.additionals?.splice(sections.additional.length) ?? [];
      t.deepEqual(read(decoded.additionals), sections.additional.map(told));
      t.like(opt, { type: 'OPT', udpPayloadSize: 1232, flag_do: true });
    }),
    { numRuns: 1_000 },
  );
});

test('questions that others write are read', (t) => {
  const types = fc.constantFrom<dnsPacket.RecordType>('A', 'AAAA', 'SRV', 'PTR', 'TXT', 'SOA');
  const size = fc.option(fc.integer({ min: 512, max: 0xffff }));
  fc.assert(
    fc.property(name, types, size, (asked, type, udpPayloadSize) => {
      const opt = { type: 'OPT', name: '.', udpPayloadSize, flags: dnsPacket.DNSSEC_OK, options: [] };
      const bytes = encode({
        type: 'query',
        questions: [{ type, name: asked }],
        additionals: udpPayloadSize === null ? [] : [opt as unknown as dnsPacket.Answer],
      });
      const query = new QueryReader(1);
      t.is(query.read(bytes, 0, bytes.length), 'question');
      t.deepEqual(askedIn(query).labels, asked.split('.'));
      t.is(query.edns, udpPayloadSize === null ? EDNS.NONE : EDNS.DNSSEC);
      t.is(query.limit, udpPayloadSize ?? 512);
    }),
    { numRuns: 1_000 },
  );
});

test('of answers that others write, addresses and times to live are read', (t) => {
  fc.assert(
    fc.property(message, ({ asked, answers }) => {
      const others = answers.filter(({ type }) => type !== 'SOA');
      const bytes = encode({
        type: 'response',
        questions: [{ type: 'A', name: asked }],
        answers: others.map((record) => told(record) as dnsPacket.Answer),
      });
      const found = addressesIn(bytes);
      t.deepEqual(
        found,
        others.filter(({ type }) => type === 'A' || type === 'AAAA' || type === 'CNAME'),
      );
      const shortest = Math.min(86_400, ...others.map((record) => record.ttl));
      const isKept = others.some(({ type }) => type === 'A') && shortest > 0;
      t.is(lifetimeOf(bytes)?.seconds, isKept ? shortest : undefined);
    }),
    { numRuns: 1_000 },
  );
});
