import test from 'ava';
import { nearestWord } from './nearest-word.ts';

const known = ['exclude-inbound-ports', 'exclude-outbound-ports', 'log-level'];

test('the word that was most likely meant', (t) => {
  t.is(nearestWord('exclude-outbond-ports', known), 'exclude-outbound-ports');
  t.is(nearestWord('Log-Level', known), 'log-level');
});

test('a word of any length is compared with those of about its length alone', (t) => {
  // Comparing it letter by letter would take minutes.
  t.is(nearestWord('a'.repeat(50_000_000), known), undefined);
});

test('no word where none is close', (t) => {
  t.is(nearestWord('resources', known), undefined);
});
