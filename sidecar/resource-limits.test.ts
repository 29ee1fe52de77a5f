import test from 'ava';
import { descriptorLimit, parseDescriptorLimit } from '../process/descriptor-limit.ts';
import { connectionsWithin, deliveriesWithin, messageConnectionsWithin } from './resource-limits.ts';

const LIMITS = `Limit                     Soft Limit           Hard Limit           Units
Max processes             63432                63432                processes
Max open files            1024                 524288               files
Max locked memory         8388608              8388608              bytes
`;

test('the soft limit counts', (t) => {
  t.is(parseDescriptorLimit(LIMITS), 1_024);
});

test('no limit, or no such text: undefined', (t) => {
  t.is(parseDescriptorLimit(LIMITS.replace('1024  ', 'unlimited')), undefined);
  t.is(parseDescriptorLimit(''), undefined);
});

test('two descriptors a connection, some for messages, and some for everything else', (t) => {
  t.is(messageConnectionsWithin(1_024), 64);
  t.is(deliveriesWithin(1_024), 64);
  const delivers = false;
  t.is(connectionsWithin(1_024, { directions: 1, delivers }), 412);
  t.is(connectionsWithin(1_024, { directions: 2, delivers }), 206, 'for each direction');
  t.is(connectionsWithin(1_024, { directions: 2, delivers: true }), 190);
  t.is(connectionsWithin(20, { directions: 1, delivers }), 1);
  t.is(messageConnectionsWithin(10), 1);
  t.is(deliveriesWithin(10), 1);
  t.is(deliveriesWithin(1_000_000), 64);
});

test('this process has a limit, where the system tells', (t) => {
  const limit = descriptorLimit();
  t.true(limit === undefined || limit > 10);
});
