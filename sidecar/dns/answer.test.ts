import test from 'ava';
import { WHOLE } from '../../test/dns/directory.ts';
import { endpointOf, serviceOf } from '../../test/fixtures/mesh.ts';
import type { Change, Origin } from '../services/change.ts';
import type { Endpoint, EndpointSlice, Service } from '../services/service.ts';
import { emptyTable, withChanges } from '../services/table.ts';
import { answer, type Answer, type Knowledge } from './answer.ts';
import { TYPE } from './protocol.ts';

const origin: Origin = { version: '1', source: 'control-plane', sinceMs: 0 };

function service(name: string, fields: Partial<Service> = {}): Change {
  return {
    kind: 'service',
    origin,
    service: serviceOf(`demo/${name}`, {
      clusterIps: ['10.96.0.1', 'fd00::1'],
      ipFamilies: ['ipv4', 'ipv6'],
      ports: [
        { name: 'web', port: 80, protocol: 'tcp', appProtocol: '' },
        { name: 'dns', port: 53, protocol: 'udp', appProtocol: '' },
      ],
      ...fields,
    }),
  };
}

function slice(name: string, endpoints: readonly Endpoint[], fields: Partial<EndpointSlice> = {}): Change {
  const key = `demo/${name}/${endpoints[0]?.address ?? 'none'}`;
  const ports = [{ name: 'web', port: 8080, protocol: 'tcp' }] as const;
  return {
    kind: 'slice',
    origin,
    slice: { key, service: `demo/${name}`, family: 'ipv4', ports, endpoints, ...fields },
  };
}

const all: readonly Change[] = [
  { kind: 'services-known' },
  service('hello'),
  service('pods', { type: 'headless', clusterIps: [] }),
  service('empty', { type: 'headless', clusterIps: [] }),
  service('unasked', { type: 'headless', clusterIps: [] }),
  service('v6', { type: 'headless', clusterIps: [], ipFamilies: ['ipv6'] }),
  service('elsewhere', { type: 'external-name', clusterIps: [], externalName: 'db.Example.com', ports: [] }),
  service('address', { type: 'external-name', clusterIps: [], externalName: '10.1.2.3', ports: [] }),
  service('proxied', { type: 'other', clusterIps: [], ipFamilies: [], ports: [] }),
  service('sctp', { clusterIps: ['10.96.0.3'], ports: [] }),
  service('file', { clusterIps: [] }),
  slice('pods', [
    endpointOf('10.0.0.1', { hostname: 'pod-0' }),
    endpointOf('10.0.0.2'),
    endpointOf('10.0.0.3', { health: 'terminating' }),
    endpointOf('10.0.0.4', { health: 'not-ready' }),
  ]),
  { kind: 'endpoints-empty', service: 'demo/empty' },
  slice('v6', [endpointOf('fd00::2'), endpointOf('fd00::')], { family: 'ipv6' }),
];

const current: Knowledge = {
  table: withChanges(emptyTable({ zone: '', node: '' }), [{ kind: 'extent', extent: WHOLE }, ...all]),
  domain: ['cluster', 'local'],
};

function after(...changes: readonly Change[]): Knowledge {
  return { ...current, table: withChanges(current.table, changes) };
}

function ask(name: string, type: number = TYPE.A, knowledge: Knowledge = current): Answer {
  return answer({ labels: name.split('.'), type, class: 1 }, knowledge);
}

/** What is answered, one line a record. */
function records(name: string, type: number = TYPE.A): string[] {
  const found = ask(name, type);
  if (found.kind !== 'records') return [found.kind];
  return [...found.answers, ...found.additional].map((record) =>
    record.type === 'SRV'
      ? `${record.type} ${record.weight} ${record.port} ${record.target}`
      : record.type === 'SOA'
        ? 'SOA'
        : `${record.type} ${record.name} ${'address' in record ? record.address : record.target}`,
  );
}

test('a Service with an address of its own', (t) => {
  const name = 'hello.demo.svc.cluster.local';
  t.deepEqual(records(name), [`A ${name} 10.96.0.1`]);
  t.deepEqual(records(name, TYPE.AAAA), [`AAAA ${name} fd00::1`]);
  t.is(ask(name, TYPE.MX).kind, 'no-data');
  t.is(ask(name, TYPE.CNAME).kind, 'no-data');
});

test('a Service whose ports are all of a protocol that the table has not', (t) => {
  const name = 'sctp.demo.svc.cluster.local';
  t.deepEqual(records(name), [`A ${name} 10.96.0.3`]);
  t.is(ask(name, TYPE.MX).kind, 'no-data');
  t.is(ask(`_web._tcp.${name}`, TYPE.SRV).kind, 'no-name');
  t.is(ask(`_web._sctp.${name}`, TYPE.SRV).kind, 'forward');
});

test('a named port', (t) => {
  const addresses = ['A hello.demo.svc.cluster.local 10.96.0.1', 'AAAA hello.demo.svc.cluster.local fd00::1'];
  const srv = 'SRV 50 80 hello.demo.svc.cluster.local';
  t.deepEqual(records('_web._tcp.hello.demo.svc.cluster.local', TYPE.SRV), [srv, ...addresses]);
  t.is(ask('_web._udp.hello.demo.svc.cluster.local', TYPE.SRV).kind, 'no-name');
  t.is(ask('_none._tcp.hello.demo.svc.cluster.local', TYPE.SRV).kind, 'no-name');
  t.deepEqual(records('_web._tcp.hello.demo.svc.cluster.local'), [
    'A _web._tcp.hello.demo.svc.cluster.local 10.96.0.1',
  ]);
  t.deepEqual(records('_web._tcp.pods.demo.svc.cluster.local', TYPE.SRV), [
    'SRV 50 8080 pod-0.pods.demo.svc.cluster.local',
    'SRV 50 8080 10-0-0-2.pods.demo.svc.cluster.local',
    'A pod-0.pods.demo.svc.cluster.local 10.0.0.1',
    'A 10-0-0-2.pods.demo.svc.cluster.local 10.0.0.2',
  ]);
});

test('a headless Service has the addresses of its ready endpoints', (t) => {
  const name = 'pods.demo.svc.cluster.local';
  t.deepEqual(records(name), [`A ${name} 10.0.0.1`, `A ${name} 10.0.0.2`]);
  t.is(ask(name, TYPE.AAAA).kind, 'no-data');
  t.deepEqual(records(`pod-0.${name}`), [`A pod-0.${name} 10.0.0.1`]);
  t.deepEqual(records(`10-0-0-2.${name}`), [`A 10-0-0-2.${name} 10.0.0.2`]);
  t.is(ask(`10-0-0-1.${name}`).kind, 'no-name');
  t.is(ask('empty.demo.svc.cluster.local').kind, 'no-name');
  t.is(ask('v6.demo.svc.cluster.local').kind, 'no-data');
  const last = 'fd00--0.v6.demo.svc.cluster.local';
  t.deepEqual(records(last, TYPE.AAAA), [`AAAA ${last} fd00::`]);
});

test('endpoints that were not asked for are loaded first, and left to others when the wait is over', (t) => {
  t.deepEqual(ask('unasked.demo.svc.cluster.local'), { kind: 'load', service: 'demo/unasked' });
  t.deepEqual(ask('x.hello.demo.svc.cluster.local'), { kind: 'load', service: 'demo/hello' });
  const table = withChanges(current.table, [{ kind: 'endpoints-overdue', service: 'demo/unasked' }]);
  t.is(ask('unasked.demo.svc.cluster.local', TYPE.A, { ...current, table }).kind, 'forward');
});

test('an ExternalName is an alias', (t) => {
  const name = 'elsewhere.demo.svc.cluster.local';
  for (const type of [TYPE.A, TYPE.AAAA, TYPE.CNAME]) {
    t.deepEqual(ask(name, type), { kind: 'alias', target: 'db.example.com' });
  }
  t.is(ask(name, TYPE.MX).kind, 'forward');
});

test('an ExternalName that is an address leads nowhere', (t) => {
  const name = 'address.demo.svc.cluster.local';
  for (const type of [TYPE.A, TYPE.AAAA, TYPE.CNAME]) t.is(ask(name, type).kind, 'no-name');
  t.is(ask(name, TYPE.MX).kind, 'forward');
});

test('reverse lookups of Services', (t) => {
  const four = '1.0.96.10.in-addr.arpa';
  t.deepEqual(records(four, TYPE.PTR), [`PTR ${four} hello.demo.svc.cluster.local`]);
  const six = `1.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`;
  t.deepEqual(records(six, TYPE.PTR), [`PTR ${six} hello.demo.svc.cluster.local`]);
  t.is(ask(four).kind, 'forward');
  for (const name of ['2.0.96.10.in-addr.arpa', '0.96.10.in-addr.arpa', '01.0.96.10.in-addr.arpa', 'arpa']) {
    t.is(ask(name, TYPE.PTR).kind, 'forward', name);
  }
});

test('what the search list makes of names is known not to exist', (t) => {
  for (const name of [
    'gone.demo.svc.cluster.local',
    'hello.demo.svc.cluster.local.demo.svc.cluster.local',
    'www.example.com.demo.svc.cluster.local',
    'example.com.svc.cluster.local',
    'a.b.c.d.hello.demo.svc.cluster.local',
  ]) {
    t.is(ask(name).kind, 'no-name', name);
    t.is(ask(name, TYPE.MX).kind, 'no-name', name);
  }
});

test('what others know better is theirs', (t) => {
  for (const name of [
    'example.com',
    'cluster.local',
    'svc.cluster.local',
    'demo.svc.cluster.local',
    '10-0-0-1.demo.pod.cluster.local',
    'dns-version.cluster.local',
    'ns.dns.cluster.local',
    'a b.demo.svc.cluster.local',
    '_._tcp.hello.demo.svc.cluster.local',
  ]) {
    t.is(ask(name).kind, 'forward', name);
  }
  const name = 'hello.demo.svc.cluster.local';
  for (const type of [TYPE.ANY, TYPE.AXFR, TYPE.NS, TYPE.SOA, TYPE.SRV])
    t.is(ask(name, type).kind, 'forward');
  t.is(answer({ labels: name.split('.'), type: TYPE.A, class: 3 }, current).kind, 'forward');
  t.is(ask('_web._sctp.hello.demo.svc.cluster.local', TYPE.SRV).kind, 'forward');
});

test('names of a Service of another proxy are for others', (t) => {
  for (const name of ['proxied', '_web._tcp.proxied', 'pod-0.proxied']) {
    t.is(ask(`${name}.demo.svc.cluster.local`).kind, 'forward');
  }
});

test('a Service from a file that has no address is there', (t) => {
  t.is(ask('file.demo.svc.cluster.local').kind, 'no-data');
});

test('of what was told and could not be taken nothing is proved', (t) => {
  const unreadable = new Set(['demo/gone', 'demo/hello', 'demo/pods']);
  const lacking = after({ kind: 'extent', extent: { ...WHOLE, unreadable } });
  for (const name of ['gone', 'hello', 'pods', 'pod-9.pods'])
    t.is(ask(`${name}.demo.svc.cluster.local`, TYPE.A, lacking).kind, 'forward');
  t.is(ask('1.0.96.10.in-addr.arpa', TYPE.PTR, lacking).kind, 'forward');
  t.is(ask('empty.demo.svc.cluster.local', TYPE.A, lacking).kind, 'no-name');
});

test('an endpoint that is not there exists elsewhere as long as not all of the Service are told', (t) => {
  const lacking = after({ kind: 'extent', extent: { ...WHOLE, endpoints: new Set(['demo/empty']) } });
  t.is(ask('pod-9.pods.demo.svc.cluster.local', TYPE.A, lacking).kind, 'forward');
  t.is(ask('pod-0.pods.demo.svc.cluster.local', TYPE.A, lacking).kind, 'records');
  t.is(ask('pod-0.pods.demo.svc.cluster.local', TYPE.AAAA, lacking).kind, 'forward');
  t.is(ask('pod-0.pods.demo.svc.cluster.local', TYPE.AAAA).kind, 'no-data');
  t.is(ask('v6.demo.svc.cluster.local', TYPE.A, lacking).kind, 'no-data');
  t.is(ask('empty.demo.svc.cluster.local', TYPE.A, lacking).kind, 'no-name');
  t.is(ask('_none._tcp.hello.demo.svc.cluster.local', TYPE.SRV, lacking).kind, 'no-name');
});

test('without a control plane nothing is said not to exist, and nothing of what is in doubt', (t) => {
  const away = after({ kind: 'freshness', freshness: 'stale' }, { kind: 'misleading', service: 'demo/pods' });
  t.is(ask('gone.demo.svc.cluster.local', TYPE.A, away).kind, 'forward');
  t.is(ask('empty.demo.svc.cluster.local', TYPE.A, away).kind, 'forward');
  t.is(ask('hello.demo.svc.cluster.local', TYPE.A, away).kind, 'records');
  t.is(ask('pods.demo.svc.cluster.local', TYPE.A, away).kind, 'forward');
  const unknown: Knowledge = { ...current, table: emptyTable({ zone: '', node: '' }) };
  t.is(ask('hello.demo.svc.cluster.local', TYPE.A, unknown).kind, 'forward');
});
