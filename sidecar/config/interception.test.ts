import test from 'ava';
import { parsePortRange } from './interception.ts';

test('ports and ranges of them', (t) => {
  t.deepEqual(parsePortRange('22'), { first: 22, last: 22 });
  t.deepEqual(parsePortRange(' 8000 - 8010 '), { first: 8000, last: 8010 });
  t.deepEqual(parsePortRange(443), { first: 443, last: 443 });
  for (const wrong of ['', '0', '65536', '9-8', '1-2-3', '-1', 'http', '1.5', 1.5, -1]) {
    t.is(parsePortRange(wrong), undefined, String(wrong));
  }
});
