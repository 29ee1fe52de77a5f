import test from 'ava';
import { Environment, parseAddress } from './environment.ts';

test('settings, and their fallbacks where a variable is unset or empty', (t) => {
  const values: Record<string, string> = { LEVEL: 'debug', COUNT: '12', AT: '[::1]:80', EMPTY: ' ' };
  const environment = new Environment((name) => values[name]);
  t.is(environment.choice('LEVEL', ['info', 'debug'], 'info'), 'debug');
  t.is(environment.integer('COUNT', { min: 0, max: 20 }, 3), 12);
  t.deepEqual(environment.address('AT', '127.0.0.1:1'), { host: '::1', port: 80 });
  t.is(environment.string('EMPTY', 'fallback'), 'fallback');
  t.is(environment.integer('UNSET', { min: 0, max: 20 }, 3), 3);
  t.deepEqual(environment.problems, []);
});

test('all mistakes come to light at once, each with what to write', (t) => {
  const values: Record<string, string> = { LEVEL: 'loud', COUNT: '1e3', AT: 'localhost' };
  const environment = new Environment((name) => values[name]);
  environment.choice('LEVEL', ['info', 'debug'], 'info');
  environment.integer('COUNT', { min: 0, max: 20 }, 3);
  environment.address('AT', '127.0.0.1:1');
  t.deepEqual(environment.problems, [
    'LEVEL is "loud": use one of info, debug',
    'COUNT is "1e3": use a whole number from 0 to 20',
    'AT is "localhost": use host:port, with an IPv6 host in brackets, e.g. 127.0.0.1:18000 or [::1]:18000',
  ]);
});

test('addresses', (t) => {
  t.deepEqual(parseAddress('control-plane.cortexflow:18000'), {
    host: 'control-plane.cortexflow',
    port: 18000,
  });
  t.deepEqual(parseAddress('0.0.0.0:0'), { host: '0.0.0.0', port: 0 });
  for (const wrong of [
    '',
    ':80',
    '::1:80',
    'a:65536',
    'a:-1',
    'a b:80',
    '[::1]80',
    'http://a:80',
    '[a]:80',
    '10.0.0.256:80',
    '-a:80',
  ]) {
    t.is(parseAddress(wrong), undefined, wrong);
  }
});
