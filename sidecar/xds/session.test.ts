import { create, toBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import test from 'ava';
import * as fc from 'fast-check';
import { EndpointsSchema } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily } from '../../gen/cortexflow/mesh/v1/network_pb.ts';
import { NodeSchema as MeshNodeSchema } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import { ServiceSchema, ServiceType } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { NodeSchema } from '../../gen/envoy/config/core/v3/base_pb.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { DeltaDiscoveryResponseSchema } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { ENDPOINTS_TYPE_URL, NODE_TYPE_URL, SERVICE_TYPE_URL } from '../../wire/resource-kinds.ts';
import type { Origin } from '../services/change.ts';
import type { Table } from '../services/table.ts';
import { emptyTable, withChanges } from '../services/table.ts';
import { OVERHEAD_BYTES } from './ceiling.ts';
import { resourceKinds } from './resource-kind.ts';
import { Session } from './session.ts';

const WHEN = 1_700_000_000_000;
const COLLECTION = 'demo/hello/*';

/** `ownNode`: whose zone it is to learn. */
function newSession(ownNode?: string): Session {
  return new Session({
    kinds: resourceKinds(ownNode),
    node: create(NodeSchema, { id: 'me' }),
    keepsBytes: true,
  });
}

function serviceBytes(name: string): Uint8Array {
  const [namespace = '', service = ''] = name.split('/');
  return toBinary(
    ServiceSchema,
    create(ServiceSchema, { namespace, name: service, type: ServiceType.CLUSTER_IP }),
  );
}

function sliceBytes(name: string): Uint8Array {
  const [namespace = '', service = '', slice = ''] = name.split('/');
  return toBinary(
    EndpointsSchema,
    create(EndpointsSchema, { namespace, service, slice, ipFamily: IpFamily.IPV4 }),
  );
}

function nodeBytes(name: string): Uint8Array {
  return toBinary(MeshNodeSchema, create(MeshNodeSchema, { name, zone: 'eu-1a' }));
}

const BYTES_OF: Readonly<Record<string, (name: string) => Uint8Array>> = {
  [SERVICE_TYPE_URL]: serviceBytes,
  [NODE_TYPE_URL]: nodeBytes,
};

interface Sent {
  readonly name: string;
  readonly version?: string;
  readonly value?: Uint8Array;
  readonly contentType?: string;
}

function response(typeUrl: string, sent: readonly Sent[], removed: readonly string[] = [], nonce = 'n') {
  const bytesOf = BYTES_OF[typeUrl] ?? sliceBytes;
  return create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce,
    removedResources: [...removed],
    resources: sent.map(({ name, version = '1', value = bytesOf(name), contentType = typeUrl }) => ({
      name,
      version,
      resource: { typeUrl: contentType, value },
    })),
  });
}

function errorOf(reply: DeltaDiscoveryRequest): string {
  return reply.errorDetail?.message ?? 'ACK';
}

test('a stream begins with all that is wanted and held, the node with the first request only', (t) => {
  const session = newSession();
  const [first, ...others] = session.open();
  t.is(others.length, 0, 'nothing is asked of Endpoints, since an empty request would ask for all');
  t.like(first, { typeUrl: SERVICE_TYPE_URL, resourceNamesSubscribe: ['*'], initialResourceVersions: {} });
  t.is(first?.node?.id, 'me');

  const asked = session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  t.like(asked, { typeUrl: ENDPOINTS_TYPE_URL, resourceNamesSubscribe: [COLLECTION], node: undefined });
  t.is(session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION), undefined, 'asked for already');

  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/hello', version: 'a' }]), WHEN);
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s1', version: 'b' }]), WHEN);
  const again = session.open();
  t.deepEqual(
    again.map(({ resourceNamesSubscribe, initialResourceVersions, node }) => ({
      resourceNamesSubscribe,
      initialResourceVersions,
      node: node?.id,
    })),
    [
      { resourceNamesSubscribe: ['*'], initialResourceVersions: { 'demo/hello': 'a' }, node: 'me' },
      {
        resourceNamesSubscribe: [COLLECTION],
        initialResourceVersions: { 'demo/hello/s1': 'b' },
        node: undefined,
      },
    ],
  );
});

test('good resources apply and the response is acknowledged by its nonce', (t) => {
  const session = newSession();
  session.open();
  const { changes, reply } = session.receive(
    response(SERVICE_TYPE_URL, [{ name: 'demo/a', version: '7' }], ['demo/never'], 'n1'),
    WHEN,
  );
  t.deepEqual(
    changes.map(({ kind }) => kind),
    ['service'],
  );
  t.like(changes[0], { origin: { version: '7', source: 'control-plane', sinceMs: WHEN } });
  t.like(reply, { typeUrl: SERVICE_TYPE_URL, responseNonce: 'n1', errorDetail: undefined, node: undefined });
});

test('an empty answer to the wildcard is an answer, once it is taken as whole', (t) => {
  const session = newSession();
  t.true(session.awaitsAnswer);
  t.like(session.receive(response(SERVICE_TYPE_URL, []), WHEN), { changes: [], unsettled: true });
  t.deepEqual(session.stored()[0]?.answered, []);
  t.deepEqual(session.settle(), [{ kind: 'services-known' }]);
  t.deepEqual(session.stored()[0]?.answered, ['*']);
  t.false(session.awaitsAnswer);
  t.false(session.receive(response(SERVICE_TYPE_URL, []), WHEN).unsettled);
});

test('a system version that is the sum of the versions held marks the end of a first answer', (t) => {
  const session = newSession();
  const part = (versions: Record<string, string>, systemVersionInfo: string, removed: string[] = []) => {
    const sent = Object.entries(versions).map(([name, version]) => ({ name, version }));
    const message = response(SERVICE_TYPE_URL, sent, removed);
    message.systemVersionInfo = systemVersionInfo;
    return session.receive(message, WHEN);
  };
  const whole = '0000000000000003';
  t.true(part({ 'demo/a': 'ffffffffffffffff' }, whole).unsettled);
  t.true(part({ 'demo/b': '0000000000000002', 'demo/c': '0000000000000005' }, whole).unsettled);
  const last = part({ 'demo/d': '0000000000000002' }, whole, ['demo/c']);
  t.false(last.unsettled);
  t.deepEqual(last.changes.at(-1), { kind: 'services-known' });
});

test('what another server writes for its versions proves nothing', (t) => {
  for (const [version, systemVersionInfo] of [
    ['1', '1'],
    ['1', '0000000000000001'],
    ['0000000000000001', '1'],
    ['0000000000000001', ''],
  ] as const) {
    const message = response(SERVICE_TYPE_URL, [{ name: 'demo/a', version }]);
    message.systemVersionInfo = systemVersionInfo;
    t.true(newSession().receive(message, WHEN).unsettled, `${version} of ${systemVersionInfo}`);
  }
});

test('a bad resource rejects only itself, by name, and what was held of it stays', (t) => {
  const session = newSession();
  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/bad', version: 'good' }]), WHEN);
  const { changes, rejections, reply } = session.receive(
    response(SERVICE_TYPE_URL, [
      { name: 'demo/fine', version: '1' },
      { name: 'demo/bad', version: 'worse', value: serviceBytes('demo/other') },
      { name: 'demo/broken', value: Buffer.from([0xff]) },
    ]),
    WHEN,
  );
  t.deepEqual(
    changes.map(({ kind }) => kind),
    ['service'],
  );
  t.is(reply.errorDetail?.code, 3);
  t.regex(errorOf(reply), /^demo\/bad: has the content of demo\/other; demo\/broken: cannot be parsed: /u);
  const [detail] = reply.errorDetail?.details ?? [];
  const violations = detail === undefined ? undefined : anyUnpack(detail, BadRequestSchema)?.fieldViolations;
  t.deepEqual(
    violations?.map(({ field, description }) => ({ name: field, reason: description })),
    [...rejections],
  );
  t.deepEqual(session.open()[0]?.initialResourceVersions, { 'demo/bad': 'good', 'demo/fine': '1' });
});

test('of which Services the newest was rejected is known until it is taken, removed or given up', (t) => {
  const session = newSession();
  const bad = new Uint8Array([0xff]);
  const isRejected = (): boolean => session.extent.unreadable.has('demo/hello');
  const receive = (...[typeUrl, sent, removed]: Parameters<typeof response>): boolean => {
    session.receive(response(typeUrl, sent, removed), WHEN);
    return isRejected();
  };
  const service = { name: 'demo/hello' };
  const slice = { name: 'demo/hello/s1' };
  session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);

  const versions = [session.extent];
  t.true(receive(SERVICE_TYPE_URL, [{ ...service, value: bad }]));
  versions.push(session.extent);
  t.false(session.extent.unreadable.has('demo/other'));
  t.false(receive(SERVICE_TYPE_URL, [service]));
  versions.push(session.extent);
  t.deepEqual(versions, [...new Set(versions)]);
  t.true(receive(SERVICE_TYPE_URL, [{ ...service, version: '2', value: bad }]));
  t.false(receive(SERVICE_TYPE_URL, [service]), 'as it was before');
  t.true(receive(SERVICE_TYPE_URL, [service, service]));
  t.false(receive(SERVICE_TYPE_URL, [], ['demo/hello']));

  t.true(receive(ENDPOINTS_TYPE_URL, [{ ...slice, value: bad }]));
  t.false(receive(ENDPOINTS_TYPE_URL, [], ['demo/hello/s1']));
  t.true(receive(ENDPOINTS_TYPE_URL, [{ ...slice, value: bad }]));
  t.false(receive(ENDPOINTS_TYPE_URL, [], [COLLECTION]));
  t.true(receive(ENDPOINTS_TYPE_URL, [{ ...slice, value: bad }]));
  session.unsubscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  t.false(isRejected());
});

test('what an earlier stream rejected stays rejected until this one has told all', (t) => {
  const session = newSession();
  const bad = new Uint8Array([0xff]);
  const rejected = () => ['demo/a', 'demo/b', 'demo/c'].filter((name) => session.extent.unreadable.has(name));
  const sent = ['demo/a', 'demo/b', 'demo/c'].map((name) => ({ name, value: bad }));
  session.open();
  session.receive(response(SERVICE_TYPE_URL, sent), WHEN);
  session.settle();
  session.open();
  t.deepEqual(rejected(), ['demo/a', 'demo/b', 'demo/c']);
  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/a' }], ['demo/none']), WHEN);
  t.deepEqual(rejected(), ['demo/b', 'demo/c']);
  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/b', value: bad }]), WHEN);
  session.confirm();
  t.deepEqual(rejected(), ['demo/b'], 'there is no other by now');
});

test('what is not told on this stream may exist, until all is told', (t) => {
  const session = newSession();
  const version = '00000000000000aa';
  const told = () => [session.extent.services, session.extent.endpoints.has('demo/hello')];
  const versions: unknown[] = [];
  const expectTold = (...expected: readonly boolean[]) => {
    t.deepEqual(told(), expected);
    versions.push(session.extent);
  };
  session.open();
  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/hello', version }]), WHEN);
  session.settle();
  expectTold(false, false);
  session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s1' }]), WHEN);
  t.deepEqual(told(), [false, false], 'another part of the collection may follow');
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s0' }]), WHEN);
  session.confirm();
  expectTold(true, true);

  session.open();
  expectTold(false, false);
  session.receive(response(SERVICE_TYPE_URL, [], ['demo/none']), WHEN);
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s2' }]), WHEN);
  t.deepEqual(told(), [false, false], 'more may be on its way');
  const whole = response(SERVICE_TYPE_URL, []);
  whole.systemVersionInfo = version;
  session.receive(whole, WHEN);
  expectTold(true, false);
  session.receive(response(ENDPOINTS_TYPE_URL, [], [COLLECTION]), WHEN);
  expectTold(true, true);
  session.unsubscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  expectTold(true, false);
  t.is(new Set(versions).size, versions.length);
});

test('the first word on a stream takes back what its silence was taken for', (t) => {
  const session = newSession();
  session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/hello' }]), WHEN);
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s1' }]), WHEN);
  session.settle();
  const told = () => [session.extent.services, session.extent.endpoints.has('demo/hello')];

  session.open();
  session.confirm();
  t.deepEqual([told(), session.hasUnconfirmed], [[true, true], false], 'nothing was different');
  const before = session.extent;
  t.true(session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/bye' }]), WHEN).begins);
  t.deepEqual([told(), session.hasUnconfirmed], [[false, true], true]);
  t.not(session.extent, before);
  t.true(session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s2' }]), WHEN).begins);
  t.deepEqual(told(), [false, false]);
  session.confirm();
  t.false(session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/more' }]), WHEN).begins);
  session.subscribe(ENDPOINTS_TYPE_URL, 'demo/bye/*');
  t.true(session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/bye/s1' }]), WHEN).begins);
  t.deepEqual(told(), [true, true], 'a change, and another collection');
});

test('of very many Services that were rejected only that there are such is known', (t) => {
  const session = newSession();
  const sent = Array.from({ length: 1001 }, (_, index) => ({
    name: `demo/s${index}`,
    value: new Uint8Array([0xff]),
  }));
  session.receive(response(SERVICE_TYPE_URL, sent.slice(1)), WHEN);
  t.false(session.extent.unreadable.has('demo/s0'));
  session.receive(response(SERVICE_TYPE_URL, sent.slice(0, 1)), WHEN);
  t.true(session.extent.unreadable.has('demo/s0'));
  t.true(session.extent.unreadable.has('demo/other'));
  session.open();
  t.true(session.extent.unreadable.has('demo/other'));
  session.confirm();
  t.false(session.extent.unreadable.has('demo/other'));
});

test('responses that break the protocol are rejected in words', (t) => {
  const session = newSession();
  session.open();
  const cases: readonly (readonly [DeltaDiscoveryResponse, RegExp])[] = [
    [
      response('type.googleapis.com/other.Kind', []),
      /^type\.googleapis\.com\/other\.Kind: is a resource type that/u,
    ],
    [
      response(SERVICE_TYPE_URL, [{ name: 'demo/a' }, { name: 'demo/a' }]),
      /^demo\/a: is in one response more than once/u,
    ],
    [
      response(SERVICE_TYPE_URL, [{ name: 'demo/a' }], ['demo/a']),
      /^demo\/a: is in one response more than once/u,
    ],
    [
      response(SERVICE_TYPE_URL, [{ name: '', value: serviceBytes('demo/a') }]),
      /^\(unnamed\): is a resource without a name/u,
    ],
    [
      response(SERVICE_TYPE_URL, [{ name: 'demo/a', contentType: ENDPOINTS_TYPE_URL }]),
      /^demo\/a: carries .*Endpoints in a response of/u,
    ],
    [
      create(DeltaDiscoveryResponseSchema, {
        typeUrl: SERVICE_TYPE_URL,
        resources: [{ name: 'demo/a', version: '1' }],
      }),
      /^demo\/a: carries no content/u,
    ],
  ];
  for (const [bad, expected] of cases) {
    const { changes, reply } = session.receive(bad, WHEN);
    t.regex(errorOf(reply), expected);
    t.deepEqual(changes, []);
  }
  t.deepEqual(session.open()[0]?.initialResourceVersions, {});
  t.is(errorOf(session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/a' }]), WHEN).reply), 'ACK');
});

test('however much is wrong, the rejection stays small', (t) => {
  const session = newSession();
  const sent = Array.from({ length: 5000 }, (_, index) => ({
    name: `demo/${index}`,
    value: Buffer.from([0xff]),
  }));
  const { rejections, reply } = session.receive(response(SERVICE_TYPE_URL, sent), WHEN);
  t.is(rejections.length, 5000);
  t.true(errorOf(reply).endsWith('; and 4900 more'));
  t.true(errorOf(reply).length < 100_000);
});

test('a collection named among the removed is empty: unknown, or emptied while we were away', (t) => {
  const session = newSession();
  session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  const empty = [{ kind: 'endpoints-empty', service: 'demo/hello' }] as const;
  t.deepEqual(session.receive(response(ENDPOINTS_TYPE_URL, [], [COLLECTION]), WHEN).changes, [...empty]);
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s1' }, { name: 'demo/hello/s2' }]), WHEN);
  session.open();
  t.deepEqual(session.receive(response(ENDPOINTS_TYPE_URL, [], [COLLECTION]), WHEN).changes, [...empty]);
  t.deepEqual(session.open()[1]?.initialResourceVersions, {});
});

test('the own Node is asked for on every stream, and of all others nothing is taken', (t) => {
  const session = newSession('node-a');
  const asked = (): unknown =>
    session.open().map(({ typeUrl, resourceNamesSubscribe, initialResourceVersions }) => ({
      typeUrl,
      names: resourceNamesSubscribe,
      held: initialResourceVersions,
    }));
  const services = { typeUrl: SERVICE_TYPE_URL, names: ['*'], held: {} };
  t.deepEqual(asked(), [{ typeUrl: NODE_TYPE_URL, names: ['node-a'], held: {} }, services]);
  t.true(session.awaitsAnswer);

  const unknown = session.receive(response(NODE_TYPE_URL, [], ['node-a']), WHEN);
  t.deepEqual(unknown.changes, [{ kind: 'node-unknown' }]);
  t.false(unknown.unsettled, 'nothing more is to come');
  const { changes, reply } = session.receive(
    response(NODE_TYPE_URL, [
      { name: 'node-a', version: 'v' },
      { name: 'node-b', version: 'v' },
    ]),
    WHEN,
  );
  t.deepEqual(changes, [
    {
      kind: 'node',
      node: { name: 'node-a', zone: 'eu-1a' },
      origin: { version: 'v', source: 'control-plane', sinceMs: WHEN },
    },
  ]);
  t.is(errorOf(reply), 'ACK');
  t.deepEqual(asked(), [{ typeUrl: NODE_TYPE_URL, names: ['node-a'], held: { 'node-a': 'v' } }, services]);
  const gone = session.receive(response(NODE_TYPE_URL, [], ['node-a']), WHEN);
  t.deepEqual(gone.changes, [{ kind: 'node-unknown' }]);
});

test('the Node of an earlier run is taken up on the same node, and nowhere else', (t) => {
  const before = newSession('node-a');
  before.receive(response(NODE_TYPE_URL, [{ name: 'node-a', version: 'v' }]), WHEN);
  const stored = before.stored();
  const zoneAfter = (session: Session): string => {
    const { changes, unusable } = session.restore(stored, WHEN);
    t.is(unusable, 0);
    return withChanges(emptyTable({ zone: '', node: '' }), changes).locality.zone;
  };
  const same = newSession('node-a');
  t.is(zoneAfter(same), 'eu-1a');
  t.deepEqual(same.stored(), stored);
  const moved = newSession('node-b');
  t.is(zoneAfter(moved), '');
  t.deepEqual(moved.open()[0]?.resourceNamesSubscribe, ['node-b']);
  t.deepEqual(moved.stored()[0], { typeUrl: NODE_TYPE_URL, answered: [], resources: [] });
  t.is(zoneAfter(newSession()), '', 'its zone was given');
});

test('what arrives for a subscription that was given up is passed over', (t) => {
  const session = newSession();
  session.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s1' }]), WHEN);
  t.like(session.unsubscribe(ENDPOINTS_TYPE_URL, COLLECTION), { resourceNamesUnsubscribe: [COLLECTION] });
  t.is(session.unsubscribe(ENDPOINTS_TYPE_URL, COLLECTION), undefined);
  const { changes, reply } = session.receive(response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s2' }]), WHEN);
  t.deepEqual(changes, []);
  t.is(errorOf(reply), 'ACK');
  t.is(session.open().length, 1);
  t.deepEqual(session.stored()[1], { typeUrl: ENDPOINTS_TYPE_URL, answered: [], resources: [] });
});

test('a resource that is sent again changes nothing', (t) => {
  const session = newSession();
  session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/a' }]), WHEN);
  const { changes, reply } = session.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/a' }]), WHEN);
  t.deepEqual(changes, []);
  t.is(errorOf(reply), 'ACK');
});

test('what was stored is taken up again, and only what is still understood', (t) => {
  const before = newSession();
  before.subscribe(ENDPOINTS_TYPE_URL, COLLECTION);
  before.subscribe(ENDPOINTS_TYPE_URL, 'demo/empty/*');
  before.subscribe(ENDPOINTS_TYPE_URL, 'demo/unanswered/*');
  before.receive(response(SERVICE_TYPE_URL, [{ name: 'demo/hello', version: 'a' }]), WHEN);
  before.receive(
    response(ENDPOINTS_TYPE_URL, [{ name: 'demo/hello/s1', version: 'b' }], ['demo/empty/*']),
    WHEN,
  );

  before.settle();

  const after = newSession();
  const broken = { name: 'demo/broken', version: '1', bytes: Buffer.from([0xff]) };
  const stored = before.stored().map(({ typeUrl, answered, resources }) => ({
    typeUrl,
    answered,
    resources: typeUrl === SERVICE_TYPE_URL ? resources : [...resources, broken],
  }));
  const { changes, unusable } = after.restore(stored, WHEN);
  t.is(unusable, 1);
  const table = withChanges(emptyTable({ zone: '', node: '' }), changes);
  t.true(table.servicesKnown);
  t.deepEqual([...table.services.keys()], ['demo/hello']);
  t.like(table.services.get('demo/hello')?.origin, { source: 'disk', version: 'a' });
  t.deepEqual([...table.endpoints.keys()].toSorted(), ['demo/empty', 'demo/hello']);
  t.deepEqual(
    after
      .open()
      .map(({ resourceNamesSubscribe, initialResourceVersions }) => [
        resourceNamesSubscribe.toSorted(),
        initialResourceVersions,
      ]),
    [
      [['*'], { 'demo/hello': 'a' }],
      [['demo/empty/*', COLLECTION], { 'demo/hello/s1': 'b' }],
    ],
  );
  t.deepEqual(after.stored(), before.stored());
});

test('what was stored and cannot all be read is no answer', (t) => {
  const session = newSession();
  const good = { name: 'demo/hello', version: 'a', bytes: serviceBytes('demo/hello') };
  const half = { name: 'demo/hello/s1', version: 'b', bytes: sliceBytes('demo/hello/s1') };
  const { changes, unusable } = session.restore(
    [
      {
        typeUrl: SERVICE_TYPE_URL,
        answered: ['*'],
        resources: [{ name: 'demo/bad', version: '1', bytes: Buffer.from([0xff]) }, good],
      },
      {
        typeUrl: ENDPOINTS_TYPE_URL,
        answered: [COLLECTION],
        resources: [half, { name: 'demo/hello/s2', version: '1', bytes: Buffer.from([0xff]) }],
      },
    ],
    WHEN,
  );
  t.is(unusable, 2);
  t.deepEqual(
    changes.map(({ kind }) => kind),
    ['service'],
  );
  t.true(session.awaitsAnswer);
  t.like(session.open(), {
    length: 1,
    0: { resourceNamesSubscribe: ['*'], initialResourceVersions: { 'demo/hello': 'a' } },
  });
});

test('resources without a version are taken each time', (t) => {
  const session = newSession();
  const sent = [{ name: 'demo/a', version: '' }];
  session.receive(response(SERVICE_TYPE_URL, sent), WHEN);
  t.like(session.receive(response(SERVICE_TYPE_URL, sent), WHEN).changes, {
    length: 1,
    0: { kind: 'service' },
  });
});

test('what is too much to hold is rejected by name, and what is held can still change', (t) => {
  const most = 2 * (serviceBytes('demo/a').length + OVERHEAD_BYTES);
  const session = new Session({
    kinds: resourceKinds(),
    node: create(NodeSchema, { id: 'me' }),
    keepsBytes: false,
    ceiling: { resources: 2, bytes: most },
  });
  const { reply } = session.receive(
    response(SERVICE_TYPE_URL, [{ name: 'demo/a' }, { name: 'demo/b' }, { name: 'demo/c' }]),
    WHEN,
  );
  t.is(errorOf(reply), 'demo/c: is one more than the 2 resources that a sidecar holds');
  const again = (name: string, removed: string[] = []) =>
    errorOf(session.receive(response(SERVICE_TYPE_URL, [{ name, version: '2' }], removed), WHEN).reply);
  t.is(again('demo/a'), 'ACK');
  session.receive(response(SERVICE_TYPE_URL, [], ['demo/b']), WHEN);
  const noRoom = again('demo/longer');
  t.regex(noRoom, /^demo\/longer: is a cortexflow\.mesh\.v1\.Service for which this sidecar has no room/u);
  t.regex(noRoom, new RegExp(`more than ${most} bytes, .* Raise the memory limit of the sidecar`, 'u'));
  t.is(again('demo/c'), 'ACK');
});

/** The plainest server of the delta protocol: one stream, whose answers wait in a queue. */
class ModelServer {
  readonly resources = new Map<string, Map<string, string>>([
    [NODE_TYPE_URL, new Map()],
    [SERVICE_TYPE_URL, new Map()],
    [ENDPOINTS_TYPE_URL, new Map()],
  ]);
  readonly #subscribed = new Map<string, Set<string>>();
  readonly #sent = new Map<string, Map<string, string>>();
  readonly #unanswered = new Set<string>();
  outbox: DeltaDiscoveryResponse[] = [];

  reset(): void {
    this.#subscribed.clear();
    this.#sent.clear();
    this.#unanswered.clear();
    this.outbox = [];
  }

  request(request: DeltaDiscoveryRequest): void {
    const { typeUrl, resourceNamesSubscribe, resourceNamesUnsubscribe, initialResourceVersions } = request;
    const subscribed = this.#subscribed.get(typeUrl) ?? new Set();
    this.#subscribed.set(typeUrl, subscribed);
    const sent = this.#sent.get(typeUrl) ?? new Map<string, string>();
    this.#sent.set(typeUrl, sent);
    for (const name of [...resourceNamesSubscribe, ...resourceNamesUnsubscribe]) {
      for (const told of sent.keys()) {
        if (covers(name, told)) {
          sent.delete(told);
        }
      }
    }
    for (const name of resourceNamesSubscribe) {
      subscribed.add(name);
      this.#unanswered.add(name);
    }
    for (const name of resourceNamesUnsubscribe) {
      subscribed.delete(name);
      this.#unanswered.delete(name);
    }
    for (const [name, version] of Object.entries(initialResourceVersions)) {
      sent.set(name, version);
    }
    this.flush();
  }

  flush(): void {
    for (const [typeUrl, subscribed] of this.#subscribed) {
      const sent = this.#sent.get(typeUrl) ?? new Map<string, string>();
      const all = this.resources.get(typeUrl) ?? new Map<string, string>();
      const wanted = new Map([...all].filter(([name]) => [...subscribed].some((one) => covers(one, name))));
      const put = [...wanted].filter(([name, version]) => sent.get(name) !== version);
      const gone = [...sent.keys()].filter((name) => !wanted.has(name));
      const empty = [...subscribed].filter(
        (name) => this.#unanswered.has(name) && ![...wanted.keys()].some((one) => covers(name, one)),
      );
      for (const name of subscribed) {
        this.#unanswered.delete(name);
      }
      this.#sent.set(typeUrl, wanted);
      if (put.length + gone.length + empty.length > 0) {
        const sending = put.map(([name, version]) => ({ name, version }));
        this.outbox.push(response(typeUrl, sending, [...gone, ...empty.filter((name) => name !== '*')]));
      }
    }
  }
}

function covers(subscription: string, name: string): boolean {
  return subscription.endsWith('*') ? name.startsWith(subscription.slice(0, -1)) : name === subscription;
}

type Step =
  | {
      readonly do: 'put' | 'remove';
      readonly typeUrl: string;
      readonly name: string;
      readonly version: string;
    }
  | { readonly do: 'subscribe' | 'unsubscribe'; readonly name: string }
  | { readonly do: 'server reads' | 'client reads' | 'reconnect' | 'restart' | 'move' };

const serviceNames = ['demo/hello', 'demo/bye', 'other/hello'];
const resource = fc.oneof(
  fc.record({ typeUrl: fc.constant(NODE_TYPE_URL), name: fc.constantFrom('node-a', 'node-b') }),
  fc.record({ typeUrl: fc.constant(SERVICE_TYPE_URL), name: fc.constantFrom(...serviceNames) }),
  fc.record({
    typeUrl: fc.constant(ENDPOINTS_TYPE_URL),
    name: fc.constantFrom('demo/hello/1', 'demo/hello/2', 'demo/bye/1', 'other/hello/1'),
  }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc
    .tuple(fc.constantFrom('put' as const, 'remove' as const), resource, fc.constantFrom('1', '2', '3'))
    .map(([verb, { typeUrl, name }, version]) => ({ do: verb, typeUrl, name, version })),
  fc.record({
    do: fc.constantFrom('subscribe' as const, 'unsubscribe' as const),
    name: fc.constantFrom(...serviceNames.map((name) => `${name}/*`)),
  }),
  fc.record({ do: fc.constantFrom('server reads' as const, 'client reads' as const) }),
  fc.record({ do: fc.constantFrom('reconnect' as const, 'restart' as const, 'move' as const) }),
);

function held(table: Table, typeUrl: string): Record<string, string> {
  const { node, services, endpoints } = table;
  const nodes = node === undefined ? [] : [[node.node.name, node] as const];
  const byType: Readonly<Record<string, readonly (readonly [string, { readonly origin: Origin }])[]>> = {
    [NODE_TYPE_URL]: nodes,
    [SERVICE_TYPE_URL]: [...services],
    [ENDPOINTS_TYPE_URL]: [...endpoints.values()].flatMap(({ slices }) => Array.from(slices)),
  };
  const entries = (byType[typeUrl] ?? []).map(([name, { origin }]) => [name, origin.version]);
  return Object.fromEntries(entries.toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)));
}

test('whatever is subscribed to, changed, delayed and cut off, the client ends with what the server has', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const server = new ModelServer();
      let ownNode = 'node-a';
      let session = newSession(ownNode);
      let table = emptyTable({ zone: '', node: '' });
      let toServer: DeltaDiscoveryRequest[] = session.open();
      const wanted = new Set<string>();

      const readOne = (): boolean => {
        const next = server.outbox.shift();
        if (next !== undefined) {
          const { changes, reply } = session.receive(next, WHEN);
          t.is(errorOf(reply), 'ACK');
          table = withChanges(table, changes);
          toServer.push(reply);
        }
        return next !== undefined;
      };
      const serveOne = (): boolean => {
        const next = toServer.shift();
        if (next !== undefined) {
          server.request(next);
        }
        return next !== undefined;
      };
      const reconnect = (): void => {
        server.reset();
        toServer = session.open();
      };
      const send = (request: DeltaDiscoveryRequest | undefined): void => {
        if (request !== undefined) {
          toServer.push(request);
        }
      };

      for (const one of steps) {
        switch (one.do) {
          case 'put':
            server.resources.get(one.typeUrl)?.set(one.name, one.version);
            server.flush();
            break;
          case 'remove':
            server.resources.get(one.typeUrl)?.delete(one.name);
            server.flush();
            break;
          case 'subscribe':
            wanted.add(one.name);
            send(session.subscribe(ENDPOINTS_TYPE_URL, one.name));
            break;
          case 'unsubscribe':
            if (wanted.delete(one.name)) {
              send(session.unsubscribe(ENDPOINTS_TYPE_URL, one.name));
              table = withChanges(table, [{ kind: 'endpoints-forgotten', service: one.name.slice(0, -2) }]);
            }
            break;
          case 'server reads':
            serveOne();
            break;
          case 'client reads':
            readOne();
            break;
          case 'reconnect':
            reconnect();
            break;
          case 'restart':
          case 'move': {
            const stored = session.stored();
            if (one.do === 'move') ownNode = ownNode === 'node-a' ? 'node-b' : 'node-a';
            session = newSession(ownNode);
            table = withChanges(emptyTable({ zone: '', node: '' }), session.restore(stored, WHEN).changes);
            for (const name of wanted) {
              session.subscribe(ENDPOINTS_TYPE_URL, name);
            }
            reconnect();
            break;
          }
        }
      }
      while (serveOne() || readOne());

      const subscriptions = new Map([
        [NODE_TYPE_URL, [ownNode]],
        [SERVICE_TYPE_URL, ['*']],
        [ENDPOINTS_TYPE_URL, [...wanted]],
      ]);
      for (const [typeUrl, resources] of server.resources) {
        const expected = [...resources]
          .filter(([name]) => (subscriptions.get(typeUrl) ?? []).some((one) => covers(one, name)))
          .toSorted(([a], [b]) => (a < b ? -1 : 1));
        t.deepEqual(held(table, typeUrl), Object.fromEntries(expected));
      }
      for (const collection of wanted) {
        t.true(table.endpoints.has(collection.slice(0, -2)), `${collection} is answered`);
      }
      t.is(server.outbox.length, 0);
      reconnect();
      while (serveOne());
      const resent = server.outbox.flatMap(({ resources }) => resources);
      t.deepEqual(resent, [], 'nothing is sent again after a reconnect');
    }),
    { numRuns: 500 },
  );
});
