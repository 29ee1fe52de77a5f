import test from 'ava';
import { essence } from './comparison.ts';

const SOA = 'cluster.local. SOA ns.dns.cluster.local. hostmaster.cluster.local.';

function answered(serial: number, retry = 1800) {
  const lines = [`${SOA} ${serial} 7200 ${retry} 86400 5`];
  return { status: 'NOERROR', flags: ['qr', 'aa'], answer: lines, authority: lines, additional: [] };
}

test('given two serials, SOA records in the answer and in the authority section are alike', (t) => {
  t.deepEqual(essence(answered(1_796_000_001)), essence(answered(1_796_000_000)));
});

test('given another time to retry, SOA records differ', (t) => {
  t.notDeepEqual(essence(answered(1_796_000_000)), essence(answered(1_796_000_000, 900)));
});
