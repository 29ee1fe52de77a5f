import test from 'ava';
import { Readiness } from './readiness.ts';

test('ready once every block is lifted, in whichever order', (t) => {
  const readiness = new Readiness();
  t.true(readiness.isReady);
  let seen = 0;
  const services = readiness.block('waiting for the list of Services');
  const endpoints = readiness.block(() => `${seen} of 2 upstreams have endpoints`);
  seen = 1;
  t.deepEqual(readiness.reasons, ['waiting for the list of Services', '1 of 2 upstreams have endpoints']);
  endpoints();
  t.false(readiness.isReady);
  services();
  services();
  t.true(readiness.isReady);
  t.deepEqual(readiness.reasons, []);
});

test('a remark is told as long as there is one, and keeps nothing back', (t) => {
  const readiness = new Readiness();
  let remark: string | undefined = 'what is served is 75 s old';
  readiness.remark(() => remark);
  t.true(readiness.isReady);
  t.deepEqual(readiness.remarks, ['what is served is 75 s old']);
  remark = undefined;
  t.deepEqual(readiness.remarks, []);
});
