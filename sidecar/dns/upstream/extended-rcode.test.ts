import test from 'ava';
import * as dnsPacket from 'dns-packet';
import * as fc from 'fast-check';
import { rcodeName } from '../protocol.ts';
import { rcodeOf } from './replies.ts';

/** With an OPT behind another record, in which the upper bits of the rcode are. */
function answer(rcode: number, answers = 1): Buffer {
  const name = 'www.example.com';
  const opt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: 1232,
    extendedRcode: rcode >> 4,
    flags: 0,
    options: [],
  };
  return dnsPacket.encode({
    type: 'response',
    flags: rcode & 0xf,
    questions: [{ type: 'A', name }],
    answers: Array.from({ length: answers }, () => ({ type: 'A', name, ttl: 60, data: '192.0.2.1' })),
    additionals: [{ type: 'A', name, data: '192.0.2.2' }, opt as unknown as dnsPacket.Answer],
  });
}

test('the rcode is that of the header and the OPT together', (t) => {
  t.is(rcodeName(rcodeOf(answer(16, 0))), 'BADVERS');
  t.is(rcodeName(rcodeOf(answer(23))), 'BADCOOKIE');
  t.is(rcodeName(rcodeOf(answer(3, 20))), 'NXDOMAIN');
  t.is(rcodeName(rcodeOf(answer(4_095))), 'other');
  const plain = dnsPacket.encode({ type: 'response', flags: 2, questions: [{ type: 'A', name: 'a' }] });
  t.is(rcodeName(rcodeOf(plain)), 'SERVFAIL');
});

test('no answer makes it throw', (t) => {
  const whole = answer(16);
  const changed = fc
    .array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 5 })
    .map((changes) => changes.reduce((bytes, [at, value]) => bytes.with(at, value), new Uint8Array(whole)));
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      const rcode = rcodeOf(bytes);
      t.true(rcode >= 0 && rcode < 4_096);
    }),
  );
});
