import test from 'ava';
import { candidateOf, serviceOf } from '../../test/fixtures/mesh.ts';
import type { EndpointGroup } from '../services/decision.ts';
import type { Service, ServicePort } from '../services/service.ts';
import { Balancer, type Policy } from './balancer.ts';

const PORT: ServicePort = { name: '', port: 80, protocol: 'tcp', appProtocol: '' };
const REQUEST = { clientAddress: '192.0.2.1', exclude: new Set<string>() };

function service(affinityTimeoutMs: number | undefined): Service {
  return serviceOf('demo/hello', { clusterIps: ['10.96.0.1'], ports: [PORT], affinityTimeoutMs });
}

function group(addresses: readonly string[], affinityTimeoutMs?: number): EndpointGroup {
  const candidates = addresses.map((address) => candidateOf(address, 80));
  return { service: service(affinityTimeoutMs), port: PORT, candidates };
}

const POLICIES: readonly Policy[] = ['least-latency', 'round-robin', 'least-request', 'consistent-hash'];
for (const policy of POLICIES) {
  test(`${policy}: loads survive a change of the group`, (t) => {
    const balancer = new Balancer({ random: Math.random, policyOf: () => policy });
    balancer.pick(group(['10.0.0.1']), REQUEST, 0)?.load.connectStarted();
    t.is(balancer.pick(group(['10.0.0.1']), REQUEST, 0)?.load.active, 1);
  });
}

test('the same group keeps its picker: round robin goes on', (t) => {
  const balancer = new Balancer({ random: () => 0, policyOf: () => 'round-robin' });
  const three = group(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  const picked = Array.from({ length: 4 }, () => balancer.pick(three, REQUEST, 0)?.candidate.address);
  t.deepEqual(picked, ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.1']);
});

test('session affinity comes before the policy and survives a change of the group', (t) => {
  const balancer = new Balancer({ random: Math.random, policyOf: () => 'round-robin' });
  const addresses = Array.from({ length: 20 }, (_, index) => `10.0.0.${index}`);
  const first = balancer.pick(group(addresses.slice(0, 2), 1_000), REQUEST, 0)?.candidate.id;
  for (let round = 0; round < 10; round++) {
    t.is(balancer.pick(group(addresses, 1_000), REQUEST, 500)?.candidate.id, first);
  }
});

test('a forgotten Service starts anew, also for a group seen before', (t) => {
  const balancer = new Balancer({ random: Math.random });
  const one = group(['10.0.0.1']);
  balancer.pick(one, REQUEST, 0)?.load.connectStarted();
  t.is([...balancer.loads('demo/hello')].length, 1);
  balancer.forget('demo/hello', 0);
  t.deepEqual([...balancer.loads('demo/hello')], []);
  t.is(balancer.pick(one, REQUEST, 0)?.load.active, 0);
  t.is([...balancer.loads('demo/hello')].length, 1);
});

for (const [what, affinityTimeoutMs] of [
  ['consistent hashing', undefined],
  ['session affinity', 1_000],
] as const) {
  test(`${what}: sidecars that all see their client as 127.0.0.1 spread over the endpoints`, (t) => {
    const addresses = Array.from({ length: 10 }, (_, index) => `10.0.0.${index}`);
    const counts = new Map<string, number>();
    for (let sidecar = 0; sidecar < 1_000; sidecar++) {
      const identity = `hello-${sidecar}`;
      const balancer = new Balancer({ random: Math.random, identity, policyOf: () => 'consistent-hash' });
      const request = { ...REQUEST, clientAddress: '127.0.0.1' };
      const id = balancer.pick(group(addresses, affinityTimeoutMs), request, 0)?.candidate.id ?? '';
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    t.is(counts.size, 10);
    // Standard deviation of a fair share is 9.5.
    for (const count of counts.values()) t.true(Math.abs(count - 100) < 60, `share of ${count}`);
  });
}

test('forgetting one Service leaves the pickers of the others as they are', (t) => {
  const balancer = new Balancer({ random: () => 0, policyOf: () => 'round-robin' });
  const two = group(['10.0.0.1', '10.0.0.2']);
  const other = { ...group(['10.0.1.1']), service: { ...two.service, key: 'demo/other' } };
  balancer.pick(other, REQUEST, 0);
  t.is(balancer.pick(two, REQUEST, 0)?.candidate.address, '10.0.0.1');
  balancer.forget('demo/other', 0);
  t.is(balancer.pick(two, REQUEST, 0)?.candidate.address, '10.0.0.2');
});

test('session affinity outlives a Service that is forgotten for want of connections, until its time is over', (t) => {
  const clients = Array.from({ length: 100 }, (_, index) => ({
    ...REQUEST,
    clientAddress: `192.0.2.${index}`,
  }));
  const balancer = new Balancer({ random: Math.random });
  const endpoints = (count: number, nowMs: number): (string | undefined)[] => {
    const addresses = Array.from({ length: count }, (_, index) => `10.0.0.${index}`);
    const wanted = group(addresses, 10_800_000);
    return clients.map((request) => balancer.pick(wanted, request, nowMs)?.candidate.id);
  };
  const first = endpoints(3, 0);
  t.false(balancer.forget('demo/hello', 300_000));
  t.deepEqual(endpoints(6, 301_000), first);
  t.true(balancer.forget('demo/hello', 301_000 + 10_800_000));
  t.notDeepEqual(endpoints(6, 301_001), first);
});

test('both address families of a Service keep their loads', (t) => {
  const balancer = new Balancer({ random: Math.random });
  const [four, six] = [group(['10.0.0.1']), group(['fd00::1'])];
  const load = balancer.pick(four, REQUEST, 0)?.load;
  balancer.pick(six, REQUEST, 0);
  t.deepEqual(Array.from(balancer.loads('demo/hello'), ({ id }) => id).toSorted(), [
    '10.0.0.1:80',
    'fd00::1:80',
  ]);
  t.is(balancer.pick({ ...four }, REQUEST, 0)?.load, load);
});
