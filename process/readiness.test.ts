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

test('what is to be said although it is ready', (t) => {
  const readiness = new Readiness();
  const withdraw = readiness.remark('without a control plane');
  t.true(readiness.isReady);
  t.deepEqual(readiness.remarks, ['without a control plane']);
  withdraw();
  t.deepEqual(readiness.remarks, []);
});
