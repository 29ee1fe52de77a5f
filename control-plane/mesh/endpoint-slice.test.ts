import test from 'ava';
import { parse } from 'yaml';
import type { Endpoint, EndpointSlice, Health } from './endpoint-slice.ts';
import { parseEndpointSlice } from './endpoint-slice.ts';
import { identify } from './object.ts';
import type { Parsed } from './parsed.ts';

const HEAD = `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hello-x7k, namespace: demo, labels: {kubernetes.io/service-name: hello}}
`;

function read(body: string, head = HEAD): Parsed<EndpointSlice> {
  const object: unknown = parse(head + body);
  const identified = identify(object);
  if (identified.outcome !== 'identified' || identified.identity.kind !== 'EndpointSlice') {
    throw new Error('the fixture is no EndpointSlice');
  }
  return parseEndpointSlice(object, identified.identity);
}

function readGood(body: string, head = HEAD): EndpointSlice {
  const result = read(body, head);
  if (result.outcome === 'rejected') throw new Error(result.problems.join('\n'));
  return result.value;
}

const ENDPOINT: Endpoint = {
  address: '10.1.0.1',
  health: 'ready',
  hostname: '',
  node: '',
  zone: '',
  zoneHints: [],
  nodeHints: [],
  pod: '',
};

test('all that the mesh wants of a slice', (t) => {
  const slice = readGood(`
addressType: IPv4
ports:
  - {name: web, port: 8080, appProtocol: http}
  - {name: dns, port: 5353, protocol: UDP}
endpoints:
  - addresses: [10.1.0.1]
    hostname: hello-0
    nodeName: node-a
    zone: eu-1a
    hints: {forZones: [{name: eu-1b}, {name: eu-1a}], forNodes: [{name: node-a}]}
    targetRef: {kind: Pod, name: hello-0, namespace: demo}
`);
  t.deepEqual(slice, {
    namespace: 'demo',
    name: 'hello-x7k',
    service: 'hello',
    family: 'ipv4',
    ports: [
      { name: 'web', port: 8080, protocol: 'tcp' },
      { name: 'dns', port: 5353, protocol: 'udp' },
    ],
    endpoints: [
      {
        address: '10.1.0.1',
        health: 'ready',
        hostname: 'hello-0',
        node: 'node-a',
        zone: 'eu-1a',
        zoneHints: ['eu-1a', 'eu-1b'],
        nodeHints: ['node-a'],
        pod: 'hello-0',
      },
    ],
  });
});

const CONDITIONS: readonly (readonly [string, Health])[] = [
  ['', 'ready'],
  ['conditions: null', 'ready'],
  ['conditions: {}', 'ready'],
  ['conditions: {ready: null, serving: null, terminating: null}', 'ready'],
  ['conditions: {ready: true}', 'ready'],
  ['conditions: {ready: false}', 'not-ready'],
  ['conditions: {ready: false, serving: true}', 'not-ready'],
  ['conditions: {ready: false, terminating: true}', 'not-ready'],
  ['conditions: {ready: false, serving: false, terminating: true}', 'not-ready'],
  ['conditions: {ready: false, serving: true, terminating: true}', 'terminating'],
  // The endpoints controller writes this for publishNotReadyAddresses only.
  ['conditions: {ready: true, serving: true, terminating: true}', 'ready'],
];

for (const [conditions, health] of CONDITIONS) {
  test(`${conditions === '' ? 'no conditions' : conditions} → ${health}`, (t) => {
    const slice = readGood(`addressType: IPv4\nendpoints: [{addresses: [10.1.0.1], ${conditions}}]`);
    t.deepEqual(slice.endpoints, [{ ...ENDPOINT, health }]);
  });
}

test('IPv6 addresses come in one form', (t) => {
  const slice = readGood('addressType: IPv6\nendpoints: [{addresses: ["2001:DB8:0:0::1"]}]');
  t.is(slice.family, 'ipv6');
  t.is(slice.endpoints[0]?.address, '2001:db8::1');
});

test('a pod of another namespace, or what is no pod, is not the pod behind the address', (t) => {
  const slice = readGood(`
addressType: IPv4
endpoints:
  - {addresses: [10.1.0.1], targetRef: {kind: Pod, name: hello-0, namespace: other}}
  - {addresses: [10.1.0.2], targetRef: {kind: Node, name: node-a}}
  - {addresses: [10.1.0.3], targetRef: {kind: Pod, name: hello-1}}
`);
  t.deepEqual(
    slice.endpoints.map(({ pod }) => pod),
    ['', '', 'hello-1'],
  );
});

test('a slice without endpoints is a slice', (t) => {
  t.deepEqual(readGood('addressType: IPv4\nendpoints: null\nports: null').endpoints, []);
});

test('what is left out of a slice is warned of', (t) => {
  const result = read(
    `
addressType: IPv4
ports: [{name: tel, port: 1, protocol: SCTP}, {name: any}, {name: web, port: 80}]
endpoints: [{addresses: [10.1.0.1, 10.1.0.2]}]
`,
    HEAD.replace('labels: {kubernetes.io/service-name: hello}', ''),
  );
  t.is(result.outcome, 'accepted');
  if (result.outcome !== 'accepted') return;
  t.is(result.value.service, undefined);
  t.deepEqual(result.value.ports, [{ name: 'web', port: 80, protocol: 'tcp' }]);
  t.deepEqual(result.warnings, [
    'metadata.labels["kubernetes.io/service-name"] is missing: no Service has these endpoints until the label names one',
    'ports[0].protocol is "SCTP": the mesh carries TCP and UDP; this port is left out',
    'ports[1].port is missing: without a number it leads nowhere; this port is left out',
    'endpoints[0].addresses is a list of 2: only the first is used; list the others as endpoints of their own',
  ]);
});

const UNREADABLE_ENDPOINTS: Readonly<Record<string, { body: string; says: string[] }>> = {
  'addresses that are no IP': {
    body: 'addressType: IPv4\nendpoints: [{addresses: [hello.example.com]}, {addresses: [10.0.0.256]}, {addresses: [7]}]',
    says: [
      'endpoints[0].addresses[0] is "hello.example.com": use an IPv4 address',
      'endpoints[1].addresses[0] is "10.0.0.256": use an IPv4 address',
      'endpoints[2].addresses[0] is 7: use an IPv4 address',
    ],
  },
  'addresses of the other family': {
    body: 'addressType: IPv6\nendpoints: [{addresses: [10.0.0.1]}, {addresses: ["fe80::1%eth0"]}, {addresses: ["::"]}]',
    says: [
      'endpoints[0].addresses[0] is "10.0.0.1": addressType is IPv6: move it to a slice with addressType IPv4',
      'endpoints[1].addresses[0] is "fe80::1%eth0": use an IPv6 address',
      'endpoints[2].addresses[0] is "::": use the address that clients can connect to',
    ],
  },
  'no address': {
    body: 'addressType: IPv4\nendpoints: [{}, {addresses: []}, {addresses: 10.0.0.1}, 7]',
    says: [
      'endpoints[0].addresses is missing: give the address of the endpoint',
      'endpoints[1].addresses is a list of 0: give the address of the endpoint',
      'endpoints[2].addresses is "10.0.0.1": use a list',
      'endpoints[3] is 7: use an object',
      'endpoints[3].addresses is missing: give the address of the endpoint',
    ],
  },
  'conditions of the wrong type': {
    body: 'addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], conditions: {ready: "no"}}]',
    says: ['endpoints[0].conditions.ready is "no": use true or false'],
  },
};

const MISTAKES: Readonly<Record<string, { body: string; says: string[] }>> = {
  'DNS names as addresses': {
    body: 'addressType: FQDN\nendpoints: [{addresses: [example.com]}]',
    says: ['addressType is "FQDN": use IPv4 or IPv6; for a DNS name write a Service of type ExternalName'],
  },
  'no address type': { body: 'endpoints: []', says: ['addressType is missing: use IPv4 or IPv6'] },
  'a blank address type': {
    body: 'addressType: ""\nendpoints: []',
    says: ['addressType is "": use IPv4 or IPv6'],
  },
  'ports out of range and of one name': {
    body: 'addressType: IPv4\nports: [{port: 0}, {port: 65536}]',
    says: [
      'ports[0].port is 0: use a number from 1 to 65535',
      'ports[1].name is missing: two ports have this name: give each its own',
      'ports[1].port is 65536: use a number from 1 to 65535',
    ],
  },
};

for (const [title, { body, says }] of Object.entries(MISTAKES)) {
  test(`rejected: ${title}`, (t) => {
    t.like(read(body), {
      outcome: 'rejected',
      problems: says,
      certain: { service: 'hello', ports: [], endpoints: [], incomplete: true },
    });
  });
}

for (const [title, { body, says }] of Object.entries(UNREADABLE_ENDPOINTS)) {
  test(`given ${title}, leaves these endpoints out and is incomplete`, (t) => {
    t.like(read(body), {
      outcome: 'accepted',
      value: { endpoints: [], incomplete: true },
      warnings: says.map((sentence) => `${sentence}; until then this endpoint is left out`),
    });
  });
}

test('given one endpoint that cannot be read, has all others', (t) => {
  const slice = readGood('addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}, {addresses: [nonsense]}]');
  t.deepEqual(
    slice.endpoints.map(({ address }) => address),
    ['10.0.0.1'],
  );
  t.true(slice.incomplete);
  t.false('incomplete' in readGood('addressType: IPv4\nendpoints: [{addresses: [10.0.0.1]}]'));
});

test('reads addresses as Kubernetes does', (t) => {
  const [first, second] = readGood(
    'addressType: IPv4\nendpoints: [{addresses: ["127.000.000.001"]}, {addresses: ["::ffff:10.010.0.09"]}]',
  ).endpoints;
  t.deepEqual([first?.address, second?.address], ['10.10.0.9', '127.0.0.1']);
});

function named(name: string): string {
  return HEAD.replace('hello-x7k', name);
}

test('the name of a slice is limited as a whole, its parts are not', (t) => {
  const long = 'a'.repeat(253);
  t.is(readGood('addressType: IPv4\n', named(long)).name, long);
  for (const name of [`${long}a`, 'a..b', '-a', 'a.b-', 'A']) {
    t.is(read('addressType: IPv4\n', named(name)).outcome, 'rejected', name);
  }
});

test('a slice may have as many endpoints and ports as Kubernetes allows', (t) => {
  const slice = (endpoints: number, ports: number): Parsed<EndpointSlice> =>
    read(`
addressType: IPv4
ports: [${Array.from({ length: ports }, (_, port) => `{name: p${port}, port: ${port + 1}}`).join(',')}]
endpoints: [${Array.from({ length: endpoints }, (_, n) => `{addresses: [10.1.${n >> 8}.${n & 255}]}`).join(',')}]
`);
  t.is(slice(1000, 100).outcome, 'accepted');
  t.like(slice(1001, 101), {
    outcome: 'rejected',
    problems: [
      'ports is a list of 101: use at most 100 entries',
      'endpoints is a list of 1001: use at most 1000 entries',
    ],
  });
  const hints = Array.from({ length: 65 }, (_, n) => `{name: zone-${n}}`).join(',');
  t.like(
    read(`addressType: IPv4
endpoints: [{addresses: [10.1.0.1], hints: {forZones: [${hints}]}}]`),
    {
      outcome: 'accepted',
      warnings: [
        'endpoints[0].hints.forZones is a list of 65: use at most 64 entries; until then this endpoint is left out',
      ],
    },
  );
});
