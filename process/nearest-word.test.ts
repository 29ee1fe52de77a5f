import test from 'ava';
import { nearestWord } from './nearest-word.ts';

const known = ['exclude-inbound-ports', 'exclude-outbound-ports', 'log-level'];

test('the word that was most likely meant', (t) => {
  t.is(nearestWord('exclude-outbond-ports', known), 'exclude-outbound-ports');
  t.is(nearestWord('Log-Level', known), 'log-level');
});

test('no word where none is close', (t) => {
  t.is(nearestWord('resources', known), undefined);
});
