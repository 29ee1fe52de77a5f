import { fromBinary, toJson } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import test from 'ava';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { EndpointsSchema } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { NodeSchema } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import { ServiceSchema } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { ENDPOINTS_TYPE_URL, NODE_TYPE_URL, SERVICE_TYPE_URL } from '../../wire/resource-kinds.ts';
import { anyOf } from '../xds/resource.ts';
import { allResources, findResource } from '../xds/resource-set.ts';
import type { Snapshot } from '../xds/snapshot.ts';
import { resourcesOf, SnapshotCell } from '../xds/snapshot.ts';
import { apply } from './apply.ts';
import { Mesh } from './mesh.ts';
import { identify, objectLabel } from './object.ts';
import type { Rejection } from './rejection.ts';
import type { MeshEvent, MeshState } from './state.ts';
import { EMPTY_STATE } from './state.ts';

/** Time stands still until a timer is let go by hand. */
class StandingClock {
  #timers: (() => void)[] = [];
  #now = 0;

  now(): number {
    return this.#now;
  }

  after(_: number, run: () => void): () => void {
    this.#timers.push(run);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== run);
    };
  }

  letGo(): void {
    this.#now += 1_000;
    for (const run of this.#timers.splice(0)) run();
  }
}

interface Scene {
  readonly mesh: Mesh;
  readonly snapshots: SnapshotCell;
  readonly clock: StandingClock;
  readonly rejections: Rejection[];
  readonly warnings: Rejection[];
  /** Applies and publishes. */
  readonly tell: (...events: MeshEvent[]) => void;
}

function scene(): Scene {
  const snapshots = new SnapshotCell();
  const clock = new StandingClock();
  const rejections: Rejection[] = [];
  const warnings: Rejection[] = [];
  const mesh = new Mesh({
    snapshots,
    clock,
    onRejection: (rejection) => rejections.push(rejection),
    onWarning: (warning) => warnings.push(warning),
  });
  mesh.synced();
  const tell = (...events: MeshEvent[]): void => {
    mesh.apply(events);
    clock.letGo();
  };
  return { mesh, snapshots, clock, rejections, warnings, tell };
}

function upsert(yaml: string, origin?: string): MeshEvent {
  const object: unknown = parse(yaml);
  return origin === undefined ? { type: 'upsert', object } : { type: 'upsert', object, origin };
}

function service(name: string, spec = 'ports: [{port: 80}]', namespace = 'demo'): MeshEvent {
  return upsert(
    `{apiVersion: v1, kind: Service, metadata: {name: ${name}, namespace: ${namespace}}, spec: {${spec}}}`,
  );
}

interface SliceFixture {
  readonly name: string;
  readonly service: string;
  readonly addresses: readonly string[];
  readonly namespace?: string;
  readonly more?: string;
  /** Behind each address, if any. */
  readonly pods?: readonly string[];
}

function slice({
  name,
  service: owner,
  addresses,
  namespace = 'demo',
  more = 'ports: [{port: 8080}]',
  pods = [],
}: SliceFixture): MeshEvent {
  const endpoints = addresses
    .map((address, index) => `{addresses: ["${address}"]${targetRef(pods[index])}}`)
    .join(', ');
  return upsert(`{
    apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
    metadata: {name: ${name}, namespace: ${namespace}, labels: {kubernetes.io/service-name: ${owner}}},
    endpoints: [${endpoints}], ${more}}`);
}

function targetRef(name: string | undefined): string {
  return name === undefined ? '' : `, targetRef: {kind: Pod, name: ${name}}`;
}

/** In the mesh, unless its labels say otherwise. */
function pod(
  name: string,
  serviceAccount: string,
  {
    namespace = 'demo',
    labels = 'cortexflow.io/injected: "true"',
    addresses = ['10.1.0.1', '10.1.0.2', '10.1.0.3'],
  }: { namespace?: string; labels?: string; addresses?: readonly string[] } = {},
): MeshEvent {
  return upsert(
    `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, namespace: ${namespace}, labels: {${labels}}},
      spec: {serviceAccountName: ${serviceAccount}},
      status: {podIPs: [${addresses.map((ip) => `{ip: ${ip}}`).join(', ')}]}}`,
  );
}

function node(name: string, zone?: string): MeshEvent {
  const labels = zone === undefined ? '' : `topology.kubernetes.io/zone: ${zone}`;
  return upsert(`{apiVersion: v1, kind: Node, metadata: {name: ${name}, labels: {${labels}}}}`);
}

function gone(kind: 'Service' | 'EndpointSlice' | 'Pod', name: string, namespace = 'demo'): MeshEvent {
  return { type: 'delete', kind, namespace, name };
}

function goneNode(name: string): MeshEvent {
  return { type: 'delete', kind: 'Node', name };
}

function names(snapshot: Snapshot): readonly string[] {
  return [NODE_TYPE_URL, SERVICE_TYPE_URL, ENDPOINTS_TYPE_URL]
    .flatMap((type) => Array.from(allResources(resourcesOf(snapshot, type))))
    .map(({ name }) => name)
    .toSorted();
}

const SCHEMAS = [
  [NODE_TYPE_URL, NodeSchema],
  [SERVICE_TYPE_URL, ServiceSchema],
  [ENDPOINTS_TYPE_URL, EndpointsSchema],
] as const;

/** The kind of a resource shows in how many parts its name has. */
function message(snapshot: Snapshot, name: string): unknown {
  const [typeUrl, schema] = SCHEMAS[name.split('/').length - 1]!;
  const resource = findResource(resourcesOf(snapshot, typeUrl), name);
  if (resource === undefined) return undefined;
  return toJson(schema, fromBinary(schema, fromBinary(AnySchema, anyOf(resource)).value));
}

/** Type and name of each resource with its version. */
function content(snapshot: Snapshot): readonly string[] {
  return [...snapshot.types.values()]
    .flatMap((set) =>
      [...allResources(set)].map(({ typeUrl, name, version }) => `${typeUrl} ${name} ${version}`),
    )
    .toSorted();
}

test('a Service and its slice become two resources', (t) => {
  const { tell, snapshots } = scene();
  tell(
    service(
      'hello',
      `clusterIP: 10.96.0.7, sessionAffinity: ClientIP, trafficDistribution: PreferClose, internalTrafficPolicy: Local,
       ports: [{name: web, port: 80, targetPort: http, appProtocol: http}, {name: dns, port: 53, protocol: UDP}]`,
    ),
    upsert(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hello-x7k, namespace: demo, labels: {kubernetes.io/service-name: hello}}
addressType: IPv4
ports: [{name: web, port: 8080}, {name: dns, port: 5353, protocol: UDP}]
endpoints:
  - {addresses: [10.1.0.9], conditions: {ready: false, serving: true, terminating: true}}
  - addresses: [10.1.0.1]
    hostname: hello-0
    nodeName: node-a
    zone: eu-1a
    hints: {forZones: [{name: eu-1a}], forNodes: [{name: node-a}]}
    targetRef: {kind: Pod, name: hello-0}
`),
  );
  t.deepEqual(message(snapshots.current, 'demo/hello'), {
    namespace: 'demo',
    name: 'hello',
    type: 'SERVICE_TYPE_CLUSTER_IP',
    clusterIps: ['10.96.0.7'],
    ipFamilies: ['IP_FAMILY_IPV4'],
    ports: [
      { name: 'web', port: 80, protocol: 'PROTOCOL_TCP', appProtocol: 'http' },
      { name: 'dns', port: 53, protocol: 'PROTOCOL_UDP' },
    ],
    sessionAffinity: { clientIpTimeout: '10800s' },
    trafficDistribution: 'TRAFFIC_DISTRIBUTION_PREFER_SAME_ZONE',
    internalTrafficPolicy: 'INTERNAL_TRAFFIC_POLICY_LOCAL',
  });
  t.deepEqual(message(snapshots.current, 'demo/hello/hello-x7k'), {
    namespace: 'demo',
    service: 'hello',
    slice: 'hello-x7k',
    ipFamily: 'IP_FAMILY_IPV4',
    ports: [
      { name: 'web', port: 8080, protocol: 'PROTOCOL_TCP' },
      { name: 'dns', port: 5353, protocol: 'PROTOCOL_UDP' },
    ],
    endpoints: [
      {
        address: '10.1.0.1',
        health: 'HEALTH_READY',
        hostname: 'hello-0',
        node: 'node-a',
        zone: 'eu-1a',
        zoneHints: ['eu-1a'],
        nodeHints: ['node-a'],
        pod: 'hello-0',
      },
      { address: '10.1.0.9', health: 'HEALTH_TERMINATING' },
    ],
  });
});

test('two slices of one Service may lead one port name to different numbers', (t) => {
  const { tell, snapshots } = scene();
  tell(
    service('hello', 'ports: [{name: web, port: 80, targetPort: http}]'),
    slice({ name: 'a', service: 'hello', addresses: ['10.1.0.1'], more: 'ports: [{name: web, port: 8080}]' }),
    slice({ name: 'b', service: 'hello', addresses: ['10.1.0.2'], more: 'ports: [{name: web, port: 9090}]' }),
  );
  t.like(message(snapshots.current, 'demo/hello/a'), { ports: [{ name: 'web', port: 8080 }] });
  t.like(message(snapshots.current, 'demo/hello/b'), { ports: [{ name: 'web', port: 9090 }] });
});

test('a Service without slices is there and has no endpoints', (t) => {
  const { tell, snapshots } = scene();
  tell(service('hello'));
  t.deepEqual(names(snapshots.current), ['demo/hello']);
});

test('a slice is nothing until its Service appears, and nothing again when it goes', (t) => {
  const { tell, snapshots } = scene();
  tell(slice({ name: 'hello-a', service: 'hello', addresses: ['10.1.0.1'] }));
  t.deepEqual(names(snapshots.current), []);
  tell(service('hello'));
  t.deepEqual(names(snapshots.current), ['demo/hello', 'demo/hello/hello-a']);
  tell(gone('Service', 'hello'));
  t.deepEqual(names(snapshots.current), []);
  tell(service('hello'));
  t.deepEqual(names(snapshots.current), ['demo/hello', 'demo/hello/hello-a']);
});

test('a Service that becomes an ExternalName loses its endpoints', (t) => {
  const { tell, snapshots } = scene();
  tell(service('hello'), slice({ name: 'hello-a', service: 'hello', addresses: ['10.1.0.1'] }));
  tell(service('hello', 'type: ExternalName, externalName: example.com'));
  t.deepEqual(names(snapshots.current), ['demo/hello']);
});

function endpointWith(conditions: string): MeshEvent {
  return upsert(`{
    apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
    metadata: {name: hello-a, namespace: demo, labels: {kubernetes.io/service-name: hello}},
    endpoints: [{addresses: [10.1.0.1], conditions: ${conditions}}]}`);
}

test('an endpoint is ready where its slice says so, as the slice controller does for publishNotReadyAddresses', (t) => {
  const { tell, snapshots } = scene();
  tell(
    endpointWith('{ready: false}'),
    service('hello', 'publishNotReadyAddresses: true, ports: [{port: 80}]'),
  );
  t.like(message(snapshots.current, 'demo/hello/hello-a'), { endpoints: [{ health: 'HEALTH_NOT_READY' }] });
  tell(endpointWith('{ready: true, serving: false, terminating: true}'));
  t.like(message(snapshots.current, 'demo/hello/hello-a'), { endpoints: [{ health: 'HEALTH_READY' }] });
});

test('a slice follows its label to another Service, and to none', (t) => {
  const { tell, snapshots } = scene();
  tell(service('a'), service('b'), slice({ name: 's', service: 'a', addresses: ['10.1.0.1'] }));
  t.deepEqual(names(snapshots.current), ['demo/a', 'demo/a/s', 'demo/b']);
  tell(slice({ name: 's', service: 'b', addresses: ['10.1.0.1'] }));
  t.deepEqual(names(snapshots.current), ['demo/a', 'demo/b', 'demo/b/s']);
  tell(slice({ name: 's', service: 'null', addresses: ['10.1.0.1'] }));
  t.deepEqual(names(snapshots.current), ['demo/a', 'demo/b']);
});

test('the same names in different namespaces never mix', (t) => {
  const { tell, snapshots } = scene();
  for (const namespace of ['north', 'south']) tell(service('hello', 'ports: [{port: 80}]', namespace));
  tell(slice({ name: 's', service: 'hello', addresses: ['10.1.0.1'], namespace: 'north' }));
  tell(slice({ name: 's', service: 'hello', addresses: ['10.2.0.1'], namespace: 'south' }));
  tell(gone('EndpointSlice', 's', 'north'));
  t.deepEqual(names(snapshots.current), ['north/hello', 'south/hello', 'south/hello/s']);
  t.like(message(snapshots.current, 'south/hello/s'), { endpoints: [{ address: '10.2.0.1' }] });
});

test('the namespace defaults to default, and lists are unpacked', (t) => {
  const { tell, snapshots } = scene();
  tell(
    upsert(`
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: 80}]}}
  - {apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}
  - {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: 80}]}}
`),
    upsert(
      '{apiVersion: v1, kind: ServiceList, items: [{metadata: {name: c}, spec: {ports: [{port: 80}]}}]}',
    ),
  );
  t.deepEqual(names(snapshots.current), ['default/a', 'default/b', 'default/c']);
});

test('a bad update keeps the last good state, is told once, and stands until it is good or gone', (t) => {
  const { mesh, tell, snapshots, rejections } = scene();
  const bad = upsert(
    '{apiVersion: v1, kind: Service, metadata: {name: hello, namespace: demo}, spec: {ports: [{port: 70000}]}}',
    'hello.yaml:1',
  );
  const rejection = {
    object: 'Service demo/hello',
    origin: 'hello.yaml:1',
    problems: ['spec.ports[0].port is 70000: use a number from 1 to 65535'],
  };
  tell(service('hello'), service('other'));
  const good = content(snapshots.current);
  tell(bad, service('third'));
  t.true(content(snapshots.current).length === good.length + 1, 'the good one beside it enters');
  t.like(message(snapshots.current, 'demo/hello'), { ports: [{ port: 80 }] });
  tell(bad);
  t.deepEqual(rejections, [rejection]);
  t.deepEqual(mesh.rejections, [rejection]);
  tell(service('hello', 'ports: [{port: 81}]'));
  t.deepEqual(mesh.rejections, []);
  t.like(message(snapshots.current, 'demo/hello'), { ports: [{ port: 81 }] });
  tell(bad);
  t.is(mesh.rejections.length, 1);
  tell(gone('Service', 'hello'));
  t.deepEqual(mesh.rejections, []);
  t.is(message(snapshots.current, 'demo/hello'), undefined);
});

test('of a Service that was never good it is told that there is one, if by its name there can be', (t) => {
  const { mesh, tell, snapshots } = scene();
  const slices = slice({ name: 'hello-a', service: 'hello', addresses: ['10.1.0.1'] });
  tell(service('hello', 'ports: [{port: 70000}]'), service('Not_A_Name'), slices);
  t.is(mesh.rejections.length, 2);
  t.deepEqual(names(snapshots.current), ['demo/hello']);
  t.like(message(snapshots.current, 'demo/hello'), { type: 'SERVICE_TYPE_OTHER' });
  tell(service('hello'));
  t.deepEqual(names(snapshots.current), ['demo/hello', 'demo/hello/hello-a']);
  tell(gone('Service', 'hello'), service('hello', 'ports: [{port: 70000}]'), gone('Service', 'hello'));
  t.deepEqual(names(snapshots.current), []);
});

function at(...addresses: readonly string[]) {
  return slice({ name: 'hello-a', service: 'hello', addresses });
}

test('given a slice with an endpoint that cannot be read, serves the others and says that there are more', (t) => {
  const { mesh, tell, snapshots } = scene();
  tell(service('hello'), at('10.1.0.1', '10.1.0.2'));
  t.like(message(snapshots.current, 'demo/hello/hello-a'), { incomplete: undefined });
  tell(at('10.1.0.1', 'nonsense'));
  const partial = message(snapshots.current, 'demo/hello/hello-a');
  t.like(partial, { endpoints: [{ address: '10.1.0.1' }], incomplete: true });
  t.deepEqual(mesh.unreadable, ['EndpointSlice demo/hello-a']);
  t.is(mesh.warnings.length, 1);

  const { tell: tellOther, snapshots: others } = scene();
  tellOther(service('hello'), at('10.1.0.1', 'nonsense'));
  t.deepEqual(message(others.current, 'demo/hello/hello-a'), partial, 'whatever a replica knew before');
  tell(at('10.1.0.1'));
  t.like(message(snapshots.current, 'demo/hello/hello-a'), { incomplete: undefined });
  t.deepEqual(mesh.unreadable, []);
});

test('given a slice that cannot be read at all, keeps its last good endpoints and says that there may be others', (t) => {
  const { tell, snapshots } = scene();
  const good = slice({ name: 'hello-a', service: 'hello', addresses: ['10.1.0.1'] });
  const bad = upsert(
    '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: FQDN, metadata: {name: hello-a, namespace: demo, labels: {kubernetes.io/service-name: hello}}}',
  );
  tell(service('hello'), bad);
  t.deepEqual(names(snapshots.current), ['demo/hello', 'demo/hello/hello-a']);
  t.like(message(snapshots.current, 'demo/hello/hello-a'), { incomplete: true });
  tell(good);
  t.like(message(snapshots.current, 'demo/hello/hello-a'), { incomplete: undefined });
  tell(bad);
  t.like(message(snapshots.current, 'demo/hello/hello-a'), {
    endpoints: [{ address: '10.1.0.1' }],
    incomplete: true,
  });
  tell(gone('EndpointSlice', 'hello-a'));
  t.deepEqual(names(snapshots.current), ['demo/hello']);
});

test('what an object enters without stands as a warning until it is mended', (t) => {
  const { mesh, tell, warnings } = scene();
  const partly = service('hello', 'ports: [{name: a, port: 80}, {name: b, port: 81, protocol: SCTP}]');
  tell(partly);
  tell(partly);
  t.deepEqual(mesh.warnings, warnings);
  t.is(warnings.length, 1);
  tell(service('hello'));
  t.deepEqual(mesh.warnings, []);
});

test('nothing is published before the first listing is complete, then all of it at once', (t) => {
  const snapshots = new SnapshotCell();
  const clock = new StandingClock();
  const mesh = new Mesh({ snapshots, clock });
  const published: number[] = [];
  snapshots.subscribe((_, next) => published.push(names(next).length));
  mesh.apply([service('a')]);
  clock.letGo();
  mesh.apply([service('b')]);
  clock.letGo();
  t.deepEqual(published, []);
  mesh.synced();
  t.deepEqual(published, [2]);
  mesh.close();
});

test('a burst costs two snapshots, and what changes nothing costs none', (t) => {
  const { mesh, snapshots, clock } = scene();
  let published = 0;
  snapshots.subscribe(() => (published += 1));
  for (let port = 1; port <= 50; port += 1) mesh.apply([service('a', `ports: [{port: ${port}}]`)]);
  clock.letGo();
  t.is(published, 2);
  mesh.apply([service('a', 'ports: [{port: 50}]')]);
  clock.letGo();
  t.is(published, 2);
});

test('the order in which endpoints are listed does not show', (t) => {
  const [one, other] = [scene(), scene()];
  const addresses = ['10.1.0.3', '10.1.0.1', '10.1.0.2'];
  one.tell(service('a'), slice({ name: 's', service: 'a', addresses }));
  other.tell(slice({ name: 's', service: 'a', addresses: addresses.toReversed() }), service('a'));
  t.deepEqual(content(one.snapshots.current), content(other.snapshots.current));
});

test('one endpoint of ten thousand slices makes one resource dirty', (t) => {
  const slices = Array.from({ length: 10_000 }, (_, index) =>
    slice({ name: `s${index}`, service: `a${index % 100}`, addresses: ['10.1.0.1'] }),
  );
  const services = Array.from({ length: 100 }, (_, index) => service(`a${index}`));
  const { state } = apply(EMPTY_STATE, [...slices, ...services]);
  const { dirty } = apply(state, [slice({ name: 's7', service: 'a7', addresses: ['10.1.0.2'] })]);
  t.deepEqual([...dirty.endpoints], ['demo/a7/s7']);
  t.deepEqual([...dirty.services], []);
});

/** The pods behind the endpoints of a slice, in the order of their addresses, with what is told of them. */
function podsBehind(snapshot: Snapshot, name: string): readonly unknown[] {
  const { endpoints } = message(snapshot, name) as { endpoints: Record<string, unknown>[] };
  return endpoints.map((endpoint) => [endpoint['pod'], endpoint['inMesh'], endpoint['serviceAccount']]);
}

test('endpoints say which pods have a sidecar, and whom those run as', (t) => {
  const { tell, snapshots } = scene();
  tell(
    service('hello'),
    slice({ name: 's', service: 'hello', addresses: ['10.1.0.1', '10.1.0.2'], pods: ['a', 'b'] }),
    pod('a', 'web'),
    pod('b', 'web', { namespace: 'other' }),
  );
  t.deepEqual(podsBehind(snapshots.current, 'demo/hello/s'), [
    ['a', true, 'web'],
    ['b', undefined, undefined],
  ]);
  tell(pod('b', 'null'));
  t.deepEqual(podsBehind(snapshots.current, 'demo/hello/s'), [
    ['a', true, 'web'],
    ['b', true, 'default'],
  ]);
  tell(pod('a', 'admin'), pod('b', 'web', { labels: 'cortexflow.io/injected: "false"' }));
  t.deepEqual(podsBehind(snapshots.current, 'demo/hello/s'), [
    ['a', true, 'admin'],
    ['b', undefined, undefined],
  ]);
  tell(gone('Pod', 'a'));
  t.deepEqual(podsBehind(snapshots.current, 'demo/hello/s'), [
    ['a', undefined, undefined],
    ['b', undefined, undefined],
  ]);
});

test('a pod is behind an endpoint only at an address of its own, whatever the slice says', (t) => {
  const { tell, snapshots } = scene();
  tell(
    service('hello'),
    slice({ name: 's', service: 'hello', addresses: ['10.1.0.1', '10.6.6.6'], pods: ['a', 'a'] }),
    pod('a', 'web', { addresses: [] }),
  );
  const others = ['a', undefined, undefined];
  t.deepEqual(podsBehind(snapshots.current, 'demo/hello/s'), [others, others]);
  tell(pod('a', 'web', { addresses: ['10.1.0.1'] }));
  t.deepEqual(podsBehind(snapshots.current, 'demo/hello/s'), [['a', true, 'web'], others]);
});

test('of what has the label of another proxy it is told that there is such a Service', (t) => {
  const label = 'service.kubernetes.io/service-proxy-name';
  const metadata = { name: 'hello', namespace: 'demo', labels: { [label]: '' } };
  t.deepEqual(identify({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata }), {
    outcome: 'skipped',
    reason: `an EndpointSlice with the label ${label} is left to the proxy that it names`,
  });
  t.is(identify({ apiVersion: 'v1', kind: 'Pod', metadata }).outcome, 'identified');
  const { tell, snapshots } = scene();
  tell(service('hello'), slice({ name: 'hello-a', service: 'hello', addresses: ['10.1.0.1'] }));
  const spec = { clusterIP: '10.96.0.1', ports: [{ port: 80 }] };
  tell({ type: 'upsert', object: { apiVersion: 'v1', kind: 'Service', metadata, spec } });
  t.deepEqual(names(snapshots.current), ['demo/hello']);
  t.deepEqual(message(snapshots.current, 'demo/hello'), {
    namespace: 'demo',
    name: 'hello',
    type: 'SERVICE_TYPE_OTHER',
    internalTrafficPolicy: 'INTERNAL_TRAFFIC_POLICY_CLUSTER',
  });
  tell(service('hello'));
  t.deepEqual(names(snapshots.current), ['demo/hello', 'demo/hello/hello-a']);
});

test('a bad Pod and a bad Node keep what was good of them, and reject nothing else', (t) => {
  const { mesh, tell, snapshots } = scene();
  tell(
    node('node-a', 'eu-1a'),
    service('hello'),
    slice({ name: 's', service: 'hello', addresses: ['10.1.0.1'], pods: ['a'] }),
    pod('a', 'web'),
  );
  const good = content(snapshots.current);
  tell(node('node-a', '7'), pod('a', 'Not_A_Name'), node('node-b'));
  t.deepEqual(mesh.rejections, [
    {
      object: 'Node node-a',
      origin: undefined,
      problems: [
        'metadata.labels["topology.kubernetes.io/zone"] is 7: use text, in quotes where it looks like a number or a boolean',
      ],
    },
    {
      object: 'Pod demo/a',
      origin: undefined,
      problems: [
        'spec.serviceAccountName is "Not_A_Name": use a DNS name: lower-case letters, digits, dashes and dots, at most 253 of them',
      ],
    },
  ]);
  tell(goneNode('node-b'));
  t.deepEqual(content(snapshots.current), good);
  tell(goneNode('node-a'), gone('Pod', 'a'));
  t.deepEqual(mesh.rejections, []);
});

test('a Node is a resource of its own name, with its zone or without', (t) => {
  const { tell, snapshots } = scene();
  tell(node('node-a', 'eu-1a'), node('node-b.example'));
  t.deepEqual(names(snapshots.current), ['node-a', 'node-b.example']);
  t.deepEqual(message(snapshots.current, 'node-a'), { name: 'node-a', zone: 'eu-1a' });
  tell(node('node-a', 'eu-1b'), goneNode('node-b.example'));
  t.deepEqual(names(snapshots.current), ['node-a']);
  t.deepEqual(message(snapshots.current, 'node-a'), { name: 'node-a', zone: 'eu-1b' });
});

test('a Pod makes the slices that name it dirty, a Node itself, and what changes nothing of it nothing', (t) => {
  const events = Array.from({ length: 1_000 }, (_, index) => [
    slice({ name: `s${index}`, service: `a${index % 100}`, addresses: ['10.1.0.1'], pods: [`p${index}`] }),
    pod(`p${index}`, 'web'),
    node(`n${index}`, 'eu-1a'),
  ]).flat();
  const second = slice({ name: 'second', service: 'a8', addresses: ['10.1.0.1'], pods: ['p7'] });
  const { state } = apply(EMPTY_STATE, [...events, second]);
  const dirty = (...of: MeshEvent[]): readonly string[] => {
    const { nodes, services, endpoints } = apply(state, of).dirty;
    return [...nodes, ...services, ...endpoints].toSorted();
  };
  t.deepEqual(dirty(pod('p7', 'admin')), ['demo/a7/s7', 'demo/a8/second']);
  t.deepEqual(dirty(gone('Pod', 'p7')), ['demo/a7/s7', 'demo/a8/second']);
  t.deepEqual(dirty(pod('p7', 'web')), []);
  t.deepEqual(dirty(pod('stranger', 'web')), []);
  t.deepEqual(dirty(gone('EndpointSlice', 'second'), pod('p7', 'admin')), ['demo/a7/s7', 'demo/a8/second']);
  t.deepEqual(dirty(node('n7', 'eu-1b')), ['n7']);
  t.deepEqual(dirty(goneNode('n7')), ['n7']);
  t.deepEqual(dirty(node('n7', 'eu-1a')), []);
});

function slicesByPod(state: MeshState): unknown {
  return Object.fromEntries([...state.slicesByPod].map(([name, slices]) => [name, slices.toSorted()]));
}

test('the index from pods to slices holds what the slices name, and nothing once they are gone', (t) => {
  const addresses = ['10.1.0.1', '10.1.0.2'];
  const one = apply(EMPTY_STATE, [
    slice({ name: 's', service: 'a', addresses, pods: ['p', 'q'] }),
    slice({ name: 't', service: 'b', addresses, pods: ['p', 'p'] }),
  ]);
  t.deepEqual(slicesByPod(one.state), { 'demo/p': ['demo/s', 'demo/t'], 'demo/q': ['demo/s'] });
  const moved = apply(one.state, [slice({ name: 's', service: 'b', addresses, pods: ['q', 'r'] })]);
  t.deepEqual(slicesByPod(moved.state), { 'demo/p': ['demo/t'], 'demo/q': ['demo/s'], 'demo/r': ['demo/s'] });
  const none = apply(moved.state, [
    gone('EndpointSlice', 's'),
    slice({ name: 't', service: 'null', addresses, pods: ['p'] }),
  ]);
  t.deepEqual(slicesByPod(none.state), {});
});

test('what cannot be an object of the mesh changes nothing', (t) => {
  const strange: unknown[] = [
    null,
    7,
    'text',
    [],
    {},
    { kind: 'Service' },
    { kind: 'List', apiVersion: 'v1', items: 7 },
  ];
  const { state, dirty } = apply(
    EMPTY_STATE,
    strange.map((object) => ({ type: 'upsert', object })),
  );
  t.deepEqual(state, EMPTY_STATE);
  t.is(dirty.services.size + dirty.endpoints.size, 0);
});

test('whatever an object is made of, it is accepted or rejected, never thrown at anyone', (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom('Service', 'EndpointSlice', 'Pod', 'Node'),
      fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue()),
      (kind, fields) => {
        const object = {
          apiVersion: kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : 'v1',
          kind,
          metadata: { name: 'a', labels: fields },
          spec: fields,
          ...fields,
        };
        apply(EMPTY_STATE, [{ type: 'upsert', object }]);
      },
    ),
  );
  t.pass();
});

const FIELDS = [
  'metadata',
  'spec',
  'ports',
  'clusterIP',
  'clusterIPs',
  'ipFamilies',
  'externalName',
  'type',
  'endpoints',
  'addressType',
  'sessionAffinityConfig',
  'kubernetes.io/service-name',
  'cortexflow.io/injected',
  'topology.kubernetes.io/zone',
  'serviceAccountName',
  '__proto__',
] as const;

/** A small world in which random events meet each other often. */
const anyEvent: fc.Arbitrary<MeshEvent> = fc.oneof(
  fc
    .record({
      name: fc.constantFrom('a', 'b'),
      namespace: fc.constantFrom('north', 'south'),
      spec: fc.constantFrom(
        'ports: [{port: 80}]',
        'ports: [{port: 81}]',
        'clusterIP: None',
        'type: ExternalName, externalName: example.com',
      ),
    })
    .map(({ name, namespace, spec }) => service(name, spec, namespace)),
  fc
    .record({
      name: fc.constantFrom('s', 't', 'u'),
      namespace: fc.constantFrom('north', 'south'),
      service: fc.constantFrom('a', 'b', 'null'),
      addresses: fc.subarray(['10.0.0.1', '10.0.0.2', '10.0.0.3']),
      pods: fc.subarray(['p', 'q', 'r']),
      more: fc.constantFrom('ports: [{port: 8080}]', 'ports: [{port: 8081}]'),
    })
    .map(slice),
  fc
    .record({
      name: fc.constantFrom('p', 'q', 'r'),
      serviceAccount: fc.constantFrom('web', 'admin'),
      namespace: fc.constantFrom('north', 'south'),
      labels: fc.constantFrom('cortexflow.io/injected: "true"', 'app: web'),
    })
    .map(({ name, serviceAccount, ...more }) => pod(name, serviceAccount, more)),
  fc
    .tuple(fc.constantFrom('n', 'm'), fc.constantFrom('eu-1a', 'eu-1b', undefined))
    .map(([name, zone]) => node(name, zone)),
  fc
    .record({
      kind: fc.constantFrom('Service' as const, 'EndpointSlice' as const, 'Pod' as const),
      name: fc.constantFrom('a', 'b', 's', 't', 'u', 'p', 'q'),
      namespace: fc.constantFrom('north', 'south'),
    })
    .map(({ kind, name, namespace }) => gone(kind, name, namespace)),
  fc.constantFrom('n', 'm').map(goneNode),
);

function objectOf(event: MeshEvent): string {
  if (event.type === 'delete') return objectLabel(event);
  const identified = identify(event.object);
  if (identified.outcome !== 'identified') throw new Error('the fixture has no identity');
  return objectLabel(identified.identity);
}

test('whatever happened, the snapshot is that of the final objects, told in any order', (t) => {
  const anyHistory = fc.array(anyEvent, { maxLength: 40 }).chain((history) => {
    const last = new Map(history.map((event) => [objectOf(event), event]));
    const final = [...last.values()].filter(({ type }) => type === 'upsert');
    const shuffled = fc.shuffledSubarray(final, { minLength: final.length, maxLength: final.length });
    return fc.record({
      history: fc.constant(history),
      final: shuffled,
      batch: fc.integer({ min: 1, max: 5 }),
    });
  });
  fc.assert(
    fc.property(anyHistory, ({ history, final, batch }) => {
      const [lived, fresh] = [scene(), scene()];
      for (let start = 0; start < history.length; start += batch) {
        lived.mesh.apply(history.slice(start, start + batch));
        if (start % 3 === 0) lived.clock.letGo();
      }
      lived.clock.letGo();
      fresh.tell(...final);
      t.deepEqual(content(lived.snapshots.current), content(fresh.snapshots.current));
      t.deepEqual([...lived.mesh.state.slicesByPod.keys()].toSorted(), podsNamed(lived.mesh.state));
    }),
    { numRuns: 300 },
  );
});

function podsNamed({ slices }: MeshState): readonly string[] {
  const all = [...slices.values()].flatMap((own) => Array.from(own.values()));
  const named = all.flatMap(({ namespace, endpoints }) =>
    endpoints.flatMap(({ pod: name }) => (name === '' ? [] : [`${namespace}/${name}`])),
  );
  return [...new Set(named)].toSorted();
}

test('given rejected objects, tells those with a last good state from those that were never good', (t) => {
  const { mesh, rejections, tell } = scene();
  const badSlice = upsert(
    '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: FQDN, metadata: {name: a-1, namespace: demo, labels: {kubernetes.io/service-name: a}}}',
  );
  tell(service('a', 'ports: [{port: 0}]'), badSlice);
  t.deepEqual(
    rejections.map((rejection) => mesh.hasLastGood(rejection)),
    [false, false],
  );
  tell(service('a'), slice({ name: 'a-1', service: 'a', addresses: ['10.0.0.1'] }));
  tell(service('a', 'ports: [{port: 0}]'), badSlice);
  t.deepEqual(
    rejections.map((rejection) => mesh.hasLastGood(rejection)),
    [true, true, true, true],
  );
});
