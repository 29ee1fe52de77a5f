import test from 'ava';
import type { Upstream } from './config.ts';
import type { EndpointGroup } from './services/decision.ts';
import { groupOf } from '../test/forward/harness.ts';
import { policyOf } from './upstreams.ts';

function upstream(port: number, balance: Upstream['balance']): Upstream {
  return { listen: { host: '127.0.0.1', port: 0 }, service: 'demo/hello', port, protocol: 'tcp', balance };
}

function onPort(port: number): EndpointGroup {
  const group = groupOf([1]);
  return { ...group, port: { ...group.port, port } };
}

test('two ports of one Service: each has the policy of its own upstream', (t) => {
  const policy = policyOf([upstream(80, 'round-robin'), upstream(443, 'consistent-hash')]);
  t.is(policy(onPort(80)), 'round-robin');
  t.is(policy(onPort(443)), 'consistent-hash');
  t.is(policy(onPort(8080)), 'least-latency');
});
