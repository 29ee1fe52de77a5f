import test from 'ava';
import { endpointOf, serviceOf } from '../../test/fixtures/mesh.ts';
import type { Change, Origin } from './change.ts';
import { decide } from './decide.ts';
import { type Decision, type EndpointGroup, FALLBACK } from './decision.ts';
import type { Endpoint, EndpointSlice, Service } from './service.ts';
import type { Table } from './table.ts';
import { emptyTable, withChanges } from './table.ts';

const origin: Origin = { version: '1', source: 'control-plane', sinceMs: 0 };
const known: Change = { kind: 'services-known' };

const hello = serviceOf('demo/hello', {
  clusterIps: ['10.96.0.1', 'fd00::1'],
  ipFamilies: ['ipv4', 'ipv6'],
  ports: [
    { name: 'web', port: 80, protocol: 'tcp', appProtocol: '' },
    { name: 'dns', port: 80, protocol: 'udp', appProtocol: '' },
  ],
});

function slice(name: string, endpoints: readonly Endpoint[], fields: Partial<EndpointSlice> = {}): Change {
  return {
    kind: 'slice',
    slice: {
      key: `demo/hello/${name}`,
      service: 'demo/hello',
      family: 'ipv4',
      ports: [
        { name: 'web', port: 8080, protocol: 'tcp' },
        { name: 'dns', port: 5353, protocol: 'udp' },
      ],
      endpoints,
      ...fields,
    },
    origin,
  };
}

function service(fields: Partial<Service> = {}): Change {
  return { kind: 'service', service: { ...hello, ...fields }, origin };
}

function table(...changes: readonly Change[]): Table {
  return withChanges(emptyTable({ zone: 'here', node: 'n1' }), [known, ...changes]);
}

const toHello = { kind: 'service', service: 'demo/hello', port: 80, protocol: 'tcp' } as const;
const toClusterIp = { kind: 'address', address: '10.96.0.1', port: 80, protocol: 'tcp' } as const;

function groupOf(decision: Decision): EndpointGroup {
  if (decision.action !== 'balance') {
    throw new Error(JSON.stringify(decision));
  }
  return decision.group;
}

function idsOf(...changes: readonly Change[]): string[] {
  return groupOf(decide(table(...changes), toHello)).candidates.map(({ id }) => id);
}

function refusal(decision: Decision): string {
  return decision.action === 'refuse' ? `${decision.reason}: ${decision.detail}` : decision.action;
}

test('a Service port leads to the slice port of its name and protocol, in each slice its own', (t) => {
  const changes = [
    service(),
    slice('1', [endpointOf('10.0.0.2'), endpointOf('10.0.0.1')]),
    slice('2', [endpointOf('10.0.0.3')], { ports: [{ name: 'web', port: 9090, protocol: 'tcp' }] }),
  ];
  t.deepEqual(idsOf(...changes), ['10.0.0.1:8080', '10.0.0.2:8080', '10.0.0.3:9090']);
  const udp = groupOf(decide(table(...changes), { ...toHello, protocol: 'udp' }));
  t.deepEqual(
    udp.candidates.map(({ id, address, port }) => [id, address, port]),
    [
      ['10.0.0.1:5353', '10.0.0.1', 5353],
      ['10.0.0.2:5353', '10.0.0.2', 5353],
    ],
  );
});

test('an endpoint in two slices counts once, with its best health', (t) => {
  t.deepEqual(
    idsOf(
      service(),
      slice('1', [
        endpointOf('10.0.0.1', { health: 'not-ready' }),
        endpointOf('10.0.0.2', { health: 'terminating' }),
      ]),
      slice('2', [endpointOf('10.0.0.1'), endpointOf('10.0.0.2', { health: 'not-ready' })]),
    ),
    ['10.0.0.1:8080'],
  );
});

test('terminating endpoints are used only while none is ready, those not ready never', (t) => {
  const terminating = endpointOf('10.0.0.1', { health: 'terminating' });
  const notReady = endpointOf('10.0.0.2', { health: 'not-ready' });
  t.deepEqual(idsOf(service(), slice('1', [terminating, notReady])), ['10.0.0.1:8080']);
  t.deepEqual(idsOf(service(), slice('1', [terminating, notReady, endpointOf('10.0.0.3')])), [
    '10.0.0.3:8080',
  ]);
  t.is(
    refusal(decide(table(service(), slice('1', [notReady])), toHello)),
    "no-endpoints: Service demo/hello has endpoints (1), and none is ready: check the pods' readiness probes.",
  );
});

test('zone hints are followed where every ready endpoint has some and one is for here', (t) => {
  const here = endpointOf('10.0.0.1', { zoneHints: ['here'] });
  const there = endpointOf('10.0.0.2', { zoneHints: ['there'] });
  const unhinted = endpointOf('10.0.0.3');
  t.deepEqual(idsOf(service(), slice('1', [here, there])), ['10.0.0.1:8080']);
  t.is(idsOf(service(), slice('1', [here, there, unhinted])).length, 3, 'one has no hints');
  t.is(idsOf(service(), slice('1', [there])).length, 1, 'none is for here');
  const notReady = endpointOf('10.0.0.4', { health: 'not-ready' });
  t.deepEqual(
    idsOf(service(), slice('1', [here, there, notReady])),
    ['10.0.0.1:8080'],
    'only ready ones count',
  );
});

function inZone(zone: string): Change {
  return { kind: 'node', node: { name: 'n1', zone }, origin };
}

test('zone hints are followed anew when the node turns out to be elsewhere, or nowhere', (t) => {
  const endpoints = ['here', 'there'].map((zone, index) =>
    endpointOf(`10.0.0.${index + 1}`, { zoneHints: [zone] }),
  );
  const ids = (of: Table): string[] => groupOf(decide(of, toHello)).candidates.map(({ id }) => id);
  const unplaced = withChanges(emptyTable({ zone: '', node: 'n1' }), [
    known,
    service(),
    slice('1', endpoints),
  ]);
  t.is(ids(unplaced).length, 2);
  const here = withChanges(unplaced, [inZone('here')]);
  t.deepEqual(ids(here), ['10.0.0.1:8080']);
  const there = withChanges(here, [inZone('there')]);
  t.deepEqual(ids(there), ['10.0.0.2:8080']);
  t.deepEqual(ids(here), ['10.0.0.1:8080'], 'an earlier table keeps its own');
  const group = groupOf(decide(there, toHello));
  t.is(groupOf(decide(withChanges(there, [inZone('there')]), toHello)), group, 'told again');
  t.is(ids(withChanges(there, [{ kind: 'node-unknown' }])).length, 2);
});

test('node hints come before zone hints, and a distribution without hints is none', (t) => {
  const mine = endpointOf('10.0.0.1', { zoneHints: ['here'], nodeHints: ['n1'] });
  const near = endpointOf('10.0.0.2', { zoneHints: ['here'], nodeHints: ['n2'] });
  const far = endpointOf('10.0.0.3', { zoneHints: ['there'], nodeHints: ['n3'] });
  t.deepEqual(idsOf(service(), slice('1', [mine, near, far])), ['10.0.0.1:8080']);
  t.deepEqual(idsOf(service(), slice('1', [near, far])), ['10.0.0.2:8080']);
  const zoned = [endpointOf('10.0.0.1', { zone: 'here' }), endpointOf('10.0.0.2', { zone: 'there' })];
  t.is(idsOf(service({ trafficDistribution: 'prefer-same-zone' }), slice('1', zoned)).length, 2);
});

test('a local traffic policy keeps to the node, whatever the hints say', (t) => {
  const local = service({ internalTrafficPolicy: 'local' });
  const mine = endpointOf('10.0.0.1', { node: 'n1', zoneHints: ['there'] });
  const other = endpointOf('10.0.0.2', { node: 'n2', zoneHints: ['here'] });
  t.deepEqual(idsOf(local, slice('1', [mine, other])), ['10.0.0.1:8080']);
  const leaving = { ...mine, health: 'terminating' } as const;
  t.deepEqual(idsOf(local, slice('1', [leaving, other])), ['10.0.0.1:8080']);
  t.is(
    refusal(decide(table(local, slice('1', [other])), toHello)),
    'no-endpoints: Service demo/hello has internalTrafficPolicy: Local and no ready endpoint on node n1.',
  );
});

test('a name uses the primary family and falls back, a cluster IP keeps to its own', (t) => {
  const v6 = slice('6', [endpointOf('fd00::5')], { family: 'ipv6' });
  const v4 = slice('4', [endpointOf('10.0.0.5')]);
  t.deepEqual(idsOf(service(), v6, v4), ['10.0.0.5:8080']);
  t.deepEqual(idsOf(service({ ipFamilies: ['ipv6', 'ipv4'] }), v6, v4), ['[fd00::5]:8080']);
  t.deepEqual(idsOf(service(), v6), ['[fd00::5]:8080']);
  const viaV6 = groupOf(decide(table(service(), v6, v4), { ...toClusterIp, address: 'fd00::1' }));
  t.deepEqual(
    viaV6.candidates.map(({ id }) => id),
    ['[fd00::5]:8080'],
  );
  t.is(
    refusal(decide(table(service(), v6), toClusterIp)),
    'no-endpoints: Service demo/hello has no ipv4 endpoints.',
  );
});

test('a group is the same object until something about it changes', (t) => {
  const one = table(service(), slice('1', [endpointOf('10.0.0.1')]));
  const group = groupOf(decide(one, toHello));
  t.is(groupOf(decide(one, toHello)), group);
  t.is(groupOf(decide(one, toClusterIp)), group, 'by name and by cluster IP');

  const elsewhere = withChanges(one, [{ kind: 'endpoints-empty', service: 'demo/other' }]);
  t.is(groupOf(decide(elsewhere, toHello)), group);

  const sameForUs = withChanges(elsewhere, [
    slice('1', [endpointOf('10.0.0.1', { pod: 'renamed' })]),
    slice('2', [endpointOf('10.0.0.1'), endpointOf('10.0.0.9', { health: 'not-ready' })]),
  ]);
  t.is(groupOf(decide(sameForUs, toHello)), group, 'slices changed, candidates did not');

  const grown = withChanges(sameForUs, [slice('3', [endpointOf('10.0.0.3')])]);
  t.not(groupOf(decide(grown, toHello)), group);
  t.is(groupOf(decide(one, toHello)).candidates.length, 1, 'an earlier table keeps its own');
  t.is(groupOf(decide(grown, toHello)).candidates.length, 2);

  const edited = withChanges(one, [service({ affinityTimeoutMs: 1000 })]);
  t.is(groupOf(decide(edited, toHello)).service.affinityTimeoutMs, 1000);
});

test('what is not told yet is to be loaded; once waiting is over, it is not', (t) => {
  const overdue: Change = { kind: 'endpoints-overdue', service: 'demo/hello' };
  const unloaded = table(service());
  t.deepEqual(decide(unloaded, toHello), { action: 'load', service: 'demo/hello' });
  t.deepEqual(decide(unloaded, toClusterIp), { action: 'load', service: 'demo/hello' });
  const late = withChanges(unloaded, [overdue]);
  t.regex(
    refusal(decide(late, toHello)),
    /^not-ready: No control plane has told what is needed to reach Service demo\/hello/u,
  );
  t.deepEqual(decide(late, toClusterIp), {
    action: 'pass-through',
    address: '10.96.0.1',
    port: 80,
    service: 'demo/hello',
  });

  const nothing = emptyTable({ zone: '', node: '' });
  t.deepEqual(decide(nothing, toHello), { action: 'load', service: 'demo/hello' });
  t.regex(refusal(decide(withChanges(nothing, [overdue]), toHello)), /^not-ready: /u);
  t.is(decide(nothing, toClusterIp).action, 'pass-through');
});

test('unknown, without the port, without endpoints, and elsewhere are four different things', (t) => {
  t.is(
    refusal(decide(table(), toHello)),
    'unknown-service: Service demo/hello is not in the mesh: check its name and namespace, or whether it was deleted.',
  );
  t.is(
    refusal(decide(table(service()), { ...toHello, port: 81 })),
    'unknown-port: Service demo/hello has no port 81/tcp: it has 80/tcp, 80/udp.',
  );
  t.is(
    refusal(decide(table(service({ ports: [] })), { ...toClusterIp, port: 81 })),
    'unknown-port: Service demo/hello has no port 81/tcp: it has no ports at all.',
  );
  const empty = table(service(), { kind: 'endpoints-empty', service: 'demo/hello' });
  t.is(
    refusal(decide(empty, toHello)),
    'no-endpoints: Service demo/hello has no endpoints: check that pods run which its selector matches.',
  );
  t.regex(
    refusal(decide(table(service(), slice('1', [endpointOf('10.0.0.1')], { ports: [] })), toHello)),
    /^no-endpoints: .* none for its port 80\/tcp/u,
  );
  const alias = service({ type: 'external-name', externalName: 'db.example.com', clusterIps: [] });
  t.regex(
    refusal(decide(table(alias), toHello)),
    /^external-name: .*db\.example\.com.*connect to that name/u,
  );
  const other = table(service({ type: 'other', clusterIps: [], ports: [] }));
  t.regex(refusal(decide(other, toHello)), /^unknown-service: .* another proxy/u);
  const toItsAddress = { kind: 'address', address: '10.96.0.1', port: 80, protocol: 'tcp' } as const;
  t.is(decide(other, toItsAddress).action, 'pass-through');
});

test('an address that is no cluster IP goes where it was going', (t) => {
  const loaded = table(service(), slice('1', [endpointOf('10.0.0.1')]));
  t.deepEqual(decide(loaded, { kind: 'address', address: '10.0.0.1', port: 8080, protocol: 'tcp' }), {
    action: 'pass-through',
    address: '10.0.0.1',
    port: 8080,
  });
});

test('a connection to the workload goes where it was going, whatever the table knows', (t) => {
  const loaded = table(service(), slice('1', [endpointOf('10.0.0.1')]));
  t.deepEqual(decide(loaded, { kind: 'workload', address: '10.96.0.1', port: 80 }), {
    action: 'pass-through',
    address: '10.96.0.1',
    port: 80,
  });
});

test('a connection that nobody redirected is refused', (t) => {
  t.regex(
    refusal(decide(table(), { kind: 'listener', address: '::1', port: 5054 })),
    /^not-redirected: Somebody connected to \[::1\]:5054, where /u,
  );
});

test('given a table that may be outdated, a refusal falls back to kube-proxy only where its reason allows that', (t) => {
  const empty = table(service(), { kind: 'endpoints-empty', service: 'demo/hello' });
  const unreadable = { services: true, endpoints: new Set<string>(), unreadable: new Set(['demo/hello']) };
  const outdated: readonly Change[] = [
    { kind: 'freshness', freshness: 'stale' },
    { kind: 'extent', extent: unreadable },
  ];
  t.regex(refusal(decide(empty, toClusterIp)), /^no-endpoints: /u);
  t.regex(refusal(decide(empty, { ...toClusterIp, port: 81 })), /^unknown-port: /u);
  for (const change of outdated) {
    for (const port of [80, 81]) {
      const expected = { action: 'pass-through', address: '10.96.0.1', port, service: 'demo/hello' };
      t.deepEqual(decide(withChanges(empty, [change]), { ...toClusterIp, port }), expected as Decision);
    }
  }
  t.deepEqual(
    Object.entries(FALLBACK).flatMap(([reason, fallback]) => (fallback === 'forbidden' ? [reason] : [])),
    ['not-redirected'],
    'a reason that protects a workload is added here on purpose',
  );
  t.is(
    decide(withChanges(table(), outdated), { kind: 'listener', address: '::1', port: 5054 }).action,
    'refuse',
  );
});

test('given an endpoint that could not be read, routes to those that could', (t) => {
  const unreadable = { services: true, endpoints: new Set<string>(), unreadable: new Set(['demo/hello']) };
  const partial = table(service(), slice('1', [endpointOf('10.0.0.1')]), {
    kind: 'extent',
    extent: unreadable,
  });
  t.is(groupOf(decide(partial, toClusterIp)).candidates.length, 1);
});
