import { create, toBinary } from '@bufbuild/protobuf';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EndpointsSchema, Health } from '../../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily, Protocol } from '../../gen/cortexflow/mesh/v1/network_pb.ts';
import { NodeSchema } from '../../gen/cortexflow/mesh/v1/node_pb.ts';
import { ServiceSchema, ServiceType } from '../../gen/cortexflow/mesh/v1/service_pb.ts';
import { AggregatedDiscoveryService } from '../../gen/envoy/service/discovery/v3/ads_pb.ts';
import type { DeltaDiscoveryRequest } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import type { Logger } from '../../process/log.ts';
import { until } from '../../test/until.ts';
import { grpcMethod, messageCodec, rawCodec } from '../../wire/grpc-service.ts';
import { ENDPOINTS_TYPE_URL, NODE_TYPE_URL, SERVICE_TYPE_URL } from '../../wire/resource-kinds.ts';
import type { DiscoveryOptions } from './discovery.ts';
import { completenessOfEndpoints, completenessOfServices } from '../services/completeness.ts';
import { Discovery } from './discovery.ts';
import { DIFFERENCE, FIRST_ANSWER } from './settling.ts';

const HELLO = serviceNamed('demo/hello', '10.96.0.1');
const SLICE = sliceNamed('s1');
/** Another timer that runs while nobody answers: how long the table is believed. */
const BELIEVED_MS = 300_000;
const SILENT_ANSWER_MS = 5_000;
const COLLECTION = 'demo/hello/*';
const toHello = { kind: 'service', service: 'demo/hello', port: 80, protocol: 'tcp' } as const;
const toClusterIp = { kind: 'address', address: '10.96.0.1', port: 80, protocol: 'tcp' } as const;

function serviceNamed(key: string, clusterIp?: string): Uint8Array {
  const [namespace = '', name = ''] = key.split('/');
  const service = create(ServiceSchema, {
    namespace,
    name,
    type: ServiceType.CLUSTER_IP,
    clusterIps: clusterIp === undefined ? [] : [clusterIp],
    ipFamilies: [IpFamily.IPV4],
    ports: [{ name: 'web', port: 80, protocol: Protocol.TCP }],
  });
  return toBinary(ServiceSchema, service);
}

/** Of demo/hello. */
function sliceNamed(slice: string): Uint8Array {
  const endpoints = create(EndpointsSchema, {
    namespace: 'demo',
    service: 'hello',
    slice,
    ipFamily: IpFamily.IPV4,
    ports: [{ name: 'web', port: 8080, protocol: Protocol.TCP }],
    endpoints: [
      { address: '10.0.0.1', health: Health.READY, pod: 'hello-0', serviceAccount: 'web', inMesh: true },
    ],
  });
  return toBinary(EndpointsSchema, endpoints);
}

function bytesOf(
  typeUrl: string,
  resources: Record<string, Uint8Array>,
  fields: { removed?: string[]; nonce?: string } = {},
) {
  const message = create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce: fields.nonce ?? 'n',
    removedResources: fields.removed ?? [],
    resources: Object.entries(resources).map(([name, value]) => ({
      name,
      version: 'v1',
      resource: { typeUrl, value },
    })),
  });
  return Buffer.from(toBinary(DeltaDiscoveryResponseSchema, message));
}

type Stream = ServerDuplexStream<DeltaDiscoveryRequest, Buffer>;

/** A real ADS server that does what its script says to each request, and remembers all of them. */
class ScriptedServer {
  readonly requests: DeltaDiscoveryRequest[] = [];
  streams = 0;
  #server = new Server();

  constructor(script: (request: DeltaDiscoveryRequest, stream: Stream, streams: number) => void) {
    const { deltaAggregatedResources: method } = AggregatedDiscoveryService.method;
    const definition = { delta: grpcMethod(method, messageCodec(DeltaDiscoveryRequestSchema), rawCodec) };
    this.#server.addService(definition, {
      delta: (stream: Stream) => {
        this.streams += 1;
        const { streams } = this;
        stream.on('error', () => undefined);
        stream.on('data', (request: DeltaDiscoveryRequest) => {
          this.requests.push(request);
          script(request, stream, streams);
        });
      },
    });
  }

  async listen(address = '127.0.0.1:0'): Promise<string> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) {
          resolve(bound);
        } else {
          reject(error);
        }
      });
    });
    return address.replace(/:\d+$/u, `:${port}`);
  }

  kill(): void {
    this.#server.forceShutdown();
  }
}

/** What a control plane with Service demo/hello says. */
function answer(request: DeltaDiscoveryRequest, stream: Stream): void {
  const { typeUrl, resourceNamesSubscribe: names, initialResourceVersions: held } = request;
  if (names.length === 0) {
    return;
  }
  if (typeUrl === SERVICE_TYPE_URL) {
    stream.write(bytesOf(typeUrl, 'demo/hello' in held ? {} : { 'demo/hello': HELLO }));
    return;
  }
  const unknown = names.filter((name) => name !== COLLECTION);
  const slices = names.includes(COLLECTION) && !('demo/hello/s1' in held) ? { 'demo/hello/s1': SLICE } : {};
  if (unknown.length + Object.keys(slices).length > 0) {
    stream.write(bytesOf(typeUrl, slices, { removed: unknown }));
  }
}

interface TestOptions extends Partial<DiscoveryOptions> {
  /** By how much timers are shortened. */
  readonly hurry?: number;
  /** A timer of this length never expires. */
  readonly stopped?: number;
}

function newDiscovery(t: ExecutionContext, options: TestOptions) {
  const lines: string[] = [];
  const note =
    (level: string) =>
    (message: string, fields: unknown = {}) =>
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log: Logger = {
    error: note('error'),
    warn: note('warn'),
    info: note('info'),
    debug: note('debug'),
    isEnabled: () => true,
    with: () => log,
  };
  const { hurry = 1, stopped, ...given } = options;
  const discovery = new Discovery({
    node: { id: 'me', cluster: 'c', zone: 'z', nodeName: 'n1', namespace: 'demo' },
    addresses: [],
    credentials: credentials.createInsecure(),
    pinned: [],
    lastGoodFile: undefined,
    endpointsIdleMs: 300_000,
    waitMs: 60_000,
    log,
    world: {
      now: Date.now,
      random: () => 0,
      schedule: (delayMs, run) => {
        if (delayMs === stopped) return () => {};
        const timer = setTimeout(run, delayMs / hurry);
        return () => {
          clearTimeout(timer);
        };
      },
    },
    ...given,
  });
  t.teardown(() => discovery.stop());
  return { discovery, lines };
}

function startServer(t: ExecutionContext, script: ConstructorParameters<typeof ScriptedServer>[0] = answer) {
  const server = new ScriptedServer(script);
  t.teardown(() => {
    server.kill();
  });
  return server;
}

test('Services come by themselves, endpoints when somebody uses them', async (t) => {
  const server = startServer(t);
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()] });
  await discovery.start();
  const { directory } = discovery;
  await until('the directory is ready', () => directory.ready, Boolean);
  t.deepEqual(directory.decide(toHello), { action: 'load', service: 'demo/hello' });

  const lease = directory.use('demo/hello');
  await lease.known;
  t.like(directory.decide(toHello), { action: 'balance', group: { candidates: [{ id: '10.0.0.1:8080' }] } });
  lease.release();

  const other = directory.use('demo/other');
  await other.known;
  t.like(directory.decide({ ...toHello, service: 'demo/other' }), { reason: 'unknown-service' });
  other.release();

  await until(
    '6 requests at the server',
    () => server.requests.length,
    (count) => count === 6,
  );
  t.deepEqual(
    server.requests.map(({ node, resourceNamesSubscribe, responseNonce, errorDetail }) => [
      node?.id,
      resourceNamesSubscribe.join() || responseNonce,
      errorDetail,
    ]),
    [
      ['me', '*', undefined],
      [undefined, 'n', undefined],
      [undefined, COLLECTION, undefined],
      [undefined, 'n', undefined],
      [undefined, 'demo/other/*', undefined],
      [undefined, 'n', undefined],
    ],
  );
  t.like(discovery.view(), {
    controlPlane: { connection: { state: 'connected' }, lastError: undefined },
    locality: { zone: 'z', node: 'n1', origin: undefined },
    servicesKnown: true,
    services: [
      {
        name: 'demo/hello',
        origin: { version: 'v1', source: 'control-plane' },
        endpoints: 'known',
        slices: [
          {
            name: 'demo/hello/s1',
            endpoints: [{ health: 'ready', serviceAccount: 'web', inMesh: true }],
          },
        ],
      },
    ],
  });
});

test('Services are known only when a first answer in several parts is in', async (t) => {
  const server = startServer(t, (request, stream) => {
    if (request.node !== undefined) {
      stream.write(bytesOf(SERVICE_TYPE_URL, {}));
      stream.write(bytesOf(SERVICE_TYPE_URL, { 'demo/hello': HELLO }));
    }
  });
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()] });
  const seen: string[] = [];
  discovery.directory.onTable(({ services, servicesKnown }) => {
    seen.push(`${services.size} ${servicesKnown ? 'known' : 'so far'}`);
  });
  await discovery.start();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  t.deepEqual(seen, ['1 so far', '1 known']);
});

test('a first answer that is cut off is not the whole mesh, however long the rest takes', async (t) => {
  let sendRest: (() => void) | undefined;
  const server = startServer(t, (request, stream, streams) => {
    if (request.node === undefined) {
      return;
    }
    if (streams === 1) {
      stream.write(bytesOf(SERVICE_TYPE_URL, { 'demo/hello': HELLO }));
      stream.end();
    } else {
      sendRest ??= () => stream.write(bytesOf(SERVICE_TYPE_URL, {}));
    }
  });
  const pending = new Set<number>();
  let isSent = false;
  const { discovery } = newDiscovery(t, {
    addresses: [await server.listen()],
    world: {
      now: Date.now,
      random: () => 0,
      schedule: (delayMs, run) => {
        pending.add(delayMs);
        // On a busy machine the end of the stream may take longer than that to arrive.
        if (delayMs === FIRST_ANSWER.quietMs && !isSent) return () => pending.delete(delayMs);
        const timer = setTimeout(() => {
          pending.delete(delayMs);
          run();
        }, delayMs);
        return () => {
          pending.delete(delayMs);
          clearTimeout(timer);
        };
      },
    },
  });
  await discovery.start();
  await until('the server holds the rest of its first answer back', () => sendRest !== undefined, Boolean);
  t.true(discovery.directory.table.services.has('demo/hello'));
  t.false(discovery.directory.table.servicesKnown);
  t.true(pending.has(BELIEVED_MS));
  t.true(
    [...pending].every((delayMs) => delayMs >= DIFFERENCE.quietMs),
    'the rest of a first answer is not waited for',
  );
  isSent = true;
  sendRest?.();
  await until('the Services are known', () => discovery.directory.table.servicesKnown, Boolean);
});

test('idle endpoints are unsubscribed from and forgotten', async (t) => {
  const server = startServer(t);
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()], endpointsIdleMs: 20 });
  await discovery.start();
  const lease = discovery.directory.use('demo/hello');
  await lease.known;
  lease.release();
  await until(
    'the collection is unsubscribed',
    () => server.requests.map(({ resourceNamesUnsubscribe }) => resourceNamesUnsubscribe[0]),
    (names) => names.includes(COLLECTION),
  );
  t.deepEqual(discovery.directory.decide(toHello), { action: 'load', service: 'demo/hello' });
});

test('pinned endpoints are part of being ready', async (t) => {
  let release: (() => void) | undefined;
  const server = startServer(t, (request, stream) => {
    if (request.typeUrl === SERVICE_TYPE_URL) {
      answer(request, stream);
    } else {
      release ??= () => {
        answer(request, stream);
      };
    }
  });
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()], pinned: ['demo/hello'] });
  await discovery.start();
  await until(
    'the Services are known and the endpoints are held back',
    () => release !== undefined && discovery.directory.table.servicesKnown,
    Boolean,
  );
  t.false(discovery.directory.ready);
  release?.();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  t.is(discovery.directory.decide(toHello).action, 'balance');
});

test('a bad resource and an unknown type are rejected in words, and the stream goes on', async (t) => {
  const server = startServer(t, (request, stream) => {
    if (request.node !== undefined) {
      stream.write(bytesOf('type.googleapis.com/other.Kind', {}, { nonce: 'other' }));
      stream.write(bytesOf(SERVICE_TYPE_URL, { 'demo/hello': HELLO, 'demo/bad': HELLO }, { nonce: 'bad' }));
      // An unknown field, as a newer control plane may send: 15, length-delimited.
      stream.write(
        Buffer.concat([bytesOf(SERVICE_TYPE_URL, {}, { nonce: 'newer' }), Buffer.from([0x7a, 1, 65])]),
      );
    }
  });
  const { discovery, lines } = newDiscovery(t, { addresses: [await server.listen()] });
  await discovery.start();
  await until(
    '4 requests at the server',
    () => server.requests.length,
    (count) => count === 4,
  );
  t.deepEqual(
    server.requests.slice(1).map(({ responseNonce, errorDetail }) => [responseNonce, errorDetail?.message]),
    [
      ['other', 'type.googleapis.com/other.Kind: is a resource type that this sidecar did not subscribe to'],
      ['bad', 'demo/bad: has the content of demo/hello'],
      ['newer', undefined],
    ],
  );
  t.deepEqual([...discovery.directory.table.services.keys()], ['demo/hello']);
  t.is(server.streams, 1);
  t.is(discovery.counters.rejectedResources, 2);
  t.deepEqual(
    ['demo/bad', 'demo/hello', 'demo/other'].filter((key) =>
      discovery.directory.table.sync.extent.unreadable.has(key),
    ),
    ['demo/bad'],
  );
  t.is(discovery.view().recentRejections.length, 2);
  t.is(lines.filter((line) => line.startsWith('warn Rejected a resource')).length, 2);
});

const NODE = toBinary(NodeSchema, create(NodeSchema, { name: 'n1', zone: 'eu-1a' }));
const unplaced = { id: 'me', cluster: '', zone: '', nodeName: 'n1', namespace: '' };

test('the zone comes with the own Node, which nobody waits for, and is known again after a restart', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortexflow-discovery-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const lastGoodFile = join(folder, 'last-good');
  let tell: (() => void) | undefined;
  const server = startServer(t, (request, stream) => {
    if (request.typeUrl !== NODE_TYPE_URL) answer(request, stream);
    else tell ??= () => stream.write(bytesOf(NODE_TYPE_URL, { n1: NODE }));
  });
  const options = { addresses: [await server.listen()], node: unplaced, lastGoodFile };
  const { discovery, lines } = newDiscovery(t, options);
  const { directory } = discovery;
  await discovery.start();
  await until(
    'the directory is ready and the Node is asked for',
    () => directory.ready && tell !== undefined,
    Boolean,
  );
  t.deepEqual(discovery.view().locality, { zone: '', node: 'n1', origin: undefined });
  tell?.();
  await until(
    'the zone is known',
    () => directory.table.locality.zone,
    (zone) => zone !== '',
  );
  t.like(discovery.view().locality, {
    zone: 'eu-1a',
    node: 'n1',
    origin: { version: 'v1', source: 'control-plane' },
  });
  t.is(lines.filter((line) => line.startsWith('info Took the zone of the node')).length, 1);
  await discovery.stop();
  server.kill();

  const again = newDiscovery(t, options).discovery;
  await again.start();
  t.like(again.view().locality, { zone: 'eu-1a', origin: { source: 'disk' } });
  const elsewhere = newDiscovery(t, { ...options, node: { ...unplaced, nodeName: 'n2' } }).discovery;
  await elsewhere.start();
  t.deepEqual(elsewhere.view().locality, { zone: '', node: 'n2', origin: undefined });
});

const unreadable: readonly (readonly [string, Buffer, RegExp])[] = [
  ['malformed', Buffer.from([0xff, 0xff, 0xff]), /sent 3 bytes that are no DeltaDiscoveryResponse/u],
  ['oversized', Buffer.alloc(33 * 1024 * 1024), /RESOURCE_EXHAUSTED/u],
];
for (const [kind, bytes, expected] of unreadable) {
  test(`a response that is ${kind} ends the stream, and the next one resumes`, async (t) => {
    const server = startServer(t, (request, stream, streams) => {
      answer(request, stream);
      if (streams === 1 && request.responseNonce !== '') {
        stream.write(bytes);
      }
    });
    const { discovery } = newDiscovery(t, { addresses: [await server.listen()] });
    await discovery.start();
    await until(
      'the second stream is connected',
      () => ({ streams: server.streams, state: discovery.status.connection.state }),
      ({ streams, state }) => streams === 2 && state === 'connected',
    );
    t.regex(discovery.status.lastError?.message ?? '', expected);
    t.true(discovery.directory.table.services.has('demo/hello'));
    const resumed = server.requests.findLast(({ node }) => node !== undefined);
    t.deepEqual(resumed?.initialResourceVersions, { 'demo/hello': 'v1' });
  });
}

test('a control plane that is killed and comes back is told what is held', async (t) => {
  const first = startServer(t);
  const address = await first.listen();
  const { discovery } = newDiscovery(t, { addresses: [address], pinned: ['demo/hello', 'demo/gone'] });
  await discovery.start();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  const { table } = discovery.directory;
  first.kill();
  await until(
    'the connection is lost',
    () => discovery.status.connection.state,
    (state) => state !== 'connected',
  );
  t.is(discovery.directory.decide(toHello).action, 'balance', 'with what is known');

  const second = startServer(t);
  await second.listen(address);
  await until(
    '2 requests at the second server',
    () => second.requests.length,
    (count) => count >= 2,
  );
  t.deepEqual(
    second.requests.slice(0, 2).map(({ typeUrl, resourceNamesSubscribe, initialResourceVersions, node }) => ({
      typeUrl,
      names: resourceNamesSubscribe.toSorted(),
      held: initialResourceVersions,
      node: node?.id,
    })),
    [
      { typeUrl: SERVICE_TYPE_URL, names: ['*'], held: { 'demo/hello': 'v1' }, node: 'me' },
      {
        typeUrl: ENDPOINTS_TYPE_URL,
        names: ['demo/gone/*', COLLECTION],
        held: { 'demo/hello/s1': 'v1' },
        node: undefined,
      },
    ],
  );
  await until(
    'the stream is connected',
    () => discovery.status.connection.state,
    (state) => state === 'connected',
  );
  t.is(discovery.directory.table.services, table.services, 'nothing changed, nothing was replaced');
});

test('while no control plane answers nobody waits, and once one does all is well', async (t) => {
  const server = new ScriptedServer(answer);
  const address = await server.listen();
  server.kill();
  const { discovery, lines } = newDiscovery(t, { addresses: [address] });
  const { directory } = discovery;
  await discovery.start();
  await directory.use('demo/hello').known;
  t.like(directory.decide(toHello), { action: 'refuse', reason: 'not-ready' });
  t.is(directory.decide(toClusterIp).action, 'pass-through');
  const warnings = lines.filter((line) => line.startsWith('warn'));
  t.is(warnings.length, 1, 'said once, however often it is tried');
  t.regex(warnings[0] ?? '', /^warn Could not connect to the control plane \{/u);
  t.regex(
    discovery.status.lastError?.message ?? '',
    /^Control plane 127\.0\.0\.1:\d+: UNAVAILABLE: .*ECONNREFUSED/u,
  );

  const later = startServer(t);
  await later.listen(address);
  await until(
    'endpoints of hello to balance over',
    () => directory.decide(toHello).action,
    (action) => action === 'balance',
  );
  t.is(directory.decide(toClusterIp).action, 'balance');
  later.kill();
  await until(
    'a line about the lost control plane',
    () => lines.filter((line) => / Lost the control plane; the last good table stays in use /u.test(line)),
    (lost) => lost.length > 0,
  );
});

/** A world in which nothing is over before the test says so. */
function patientWorld() {
  const quiet = new Map<object, () => void>();
  const world: DiscoveryOptions['world'] = {
    now: Date.now,
    random: () => 0,
    schedule: (delayMs, run) => {
      const key = {};
      if (delayMs === DIFFERENCE.quietMs) quiet.set(key, run);
      const timer = quiet.has(key) ? undefined : setTimeout(run, delayMs);
      return () => {
        quiet.delete(key);
        clearTimeout(timer);
      };
    },
  };
  /** Runs all that waits for quiet, and returns how many did. */
  const beQuiet = (): number => {
    const waiting = [...quiet.values()];
    quiet.clear();
    for (const run of waiting) run();
    return waiting.length;
  };
  return { world, beQuiet };
}

test('nothing is taken for gone before a stream that resumes has told what is different', async (t) => {
  const { world, beQuiet } = patientWorld();
  let second: Stream | undefined;
  const server = startServer(t, (request, stream, streams) => {
    if (request.node === undefined) return;
    if (streams === 2) {
      second = stream;
      stream.write(bytesOf(SERVICE_TYPE_URL, {}, { removed: ['demo/none'] }));
      return;
    }
    stream.write(bytesOf(SERVICE_TYPE_URL, { 'demo/hello': HELLO, 'demo/bad': HELLO }));
    stream.end();
  });
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()], world });
  const { directory } = discovery;
  const knownOf = (name: string) => {
    const { table } = directory;
    return [completenessOfServices(table), table.sync.extent.unreadable.has(name)];
  };
  await discovery.start();
  await until(
    '2 responses, and the Services known',
    () => ({ responses: discovery.counters.responses, known: discovery.directory.table.servicesKnown }),
    ({ responses, known }) => responses === 2 && known,
  );
  t.deepEqual(knownOf('demo/bad'), ['some', true]);
  second?.write(bytesOf(SERVICE_TYPE_URL, { 'demo/other': HELLO }));
  await until(
    '3 responses',
    () => discovery.counters.responses,
    (count) => count === 3,
  );
  t.deepEqual(knownOf('demo/other'), ['some', true]);
  t.is(beQuiet(), 1);
  t.deepEqual(knownOf('demo/bad'), ['all', false]);
  t.deepEqual(knownOf('demo/other'), ['all', true]);
});

test('however late a stream begins to tell, it is heard to the end', async (t) => {
  const { world, beQuiet } = patientWorld();
  const opened: Stream[] = [];
  const server = startServer(t, (request, stream) => {
    if (request.node !== undefined) opened.push(stream);
  });
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()], world });
  const { directory } = discovery;
  const connected = async (streams: number): Promise<void> => {
    await until(
      `stream ${streams} is connected`,
      () => ({ opened: opened.length, state: discovery.status.connection.state }),
      ({ opened: count, state }) => count === streams && state === 'connected',
    );
  };
  const tell = async (name: string): Promise<void> => {
    const { responses } = discovery.counters;
    opened.at(-1)?.write(bytesOf(SERVICE_TYPE_URL, { [name]: serviceNamed(name) }));
    await until(
      'another response',
      () => discovery.counters.responses,
      (count) => count > responses,
    );
  };
  const services = () => completenessOfServices(directory.table);
  await discovery.start();
  await connected(1);
  t.true(beQuiet() > 0);
  t.is(services(), 'nothing');
  await tell('demo/hello');
  await until('the Services are known', () => discovery.directory.table.servicesKnown, Boolean);
  t.is(services(), 'some');
  t.is(beQuiet(), 1);
  t.is(services(), 'all');

  opened.at(-1)?.end();
  await connected(2);
  t.true(beQuiet() > 0);
  t.is(services(), 'all', 'there seemed to be nothing to tell');
  await tell('demo/late');
  t.is(services(), 'some');
  await tell('demo/later');
  t.is(services(), 'some');
  t.is(beQuiet(), 1);
  t.is(services(), 'all');
});

test('an endpoint is not taken for gone while parts of its collection may follow', async (t) => {
  const { world, beQuiet } = patientWorld();
  let sendRest: (() => void) | undefined;
  const server = startServer(t, (request, stream) => {
    answer(request, stream);
    if (request.resourceNamesSubscribe.includes(COLLECTION)) {
      sendRest = () => stream.write(bytesOf(ENDPOINTS_TYPE_URL, { 'demo/hello/s2': sliceNamed('s2') }));
    }
  });
  const { discovery } = newDiscovery(t, { addresses: [await server.listen()], world });
  const { directory } = discovery;
  await discovery.start();
  await until('the directory is ready', () => directory.ready, Boolean);
  beQuiet();
  t.is(completenessOfServices(directory.table), 'all');
  await directory.use('demo/hello').known;
  t.is(directory.decide(toHello).action, 'balance', 'what is told is used at once');
  t.is(completenessOfEndpoints(directory.table, 'demo/hello'), 'some');
  sendRest?.();
  await until(
    'both slices of hello',
    () => directory.table.endpoints.get('demo/hello')?.slices.size,
    (size) => size === 2,
  );
  t.is(completenessOfEndpoints(directory.table, 'demo/hello'), 'some');
  t.is(beQuiet(), 1);
  t.is(completenessOfEndpoints(directory.table, 'demo/hello'), 'all');
  t.is(completenessOfServices(directory.table), 'all');
});

/** Endpoints did not answer while no control plane did: connections to the cluster IP go around the mesh. */
async function inDoubt(t: ExecutionContext, times: Pick<TestOptions, 'hurry' | 'stopped'>) {
  const first = startServer(t);
  const address = await first.listen();
  const { discovery } = newDiscovery(t, { addresses: [address], pinned: ['demo/hello'], ...times });
  await discovery.start();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  first.kill();
  await until('the endpoints of hello are in doubt', () => discovery.directory.doubt(toClusterIp), Boolean);
  return { discovery, address };
}

test('a server that takes each stream and fails it does not count as one that answers', async (t) => {
  // On a busy machine the failure may take longer than a silent server has.
  const { discovery, address } = await inDoubt(t, { hurry: 100, stopped: SILENT_ANSWER_MS });
  const failing = startServer(t, (_request, stream) => {
    stream.emit('error', { code: status.UNAVAILABLE, details: 'not today' });
  });
  await failing.listen(address);
  await until(
    '3 streams at the failing server',
    () => failing.streams,
    (count) => count >= 3,
  );
  t.is(discovery.directory.decide(toClusterIp).action, 'pass-through');
});

test('a server that takes a stream and has nothing to add answers, after a moment', async (t) => {
  const { discovery, address } = await inDoubt(t, { hurry: 100 });
  const silent = startServer(t, () => {});
  await silent.listen(address);
  await until(
    'endpoints of hello to balance over',
    () => discovery.directory.decide(toClusterIp).action,
    (action) => action === 'balance',
  );
  t.is(silent.streams, 1);
});

test('one control plane of several is enough, over IPv6 as well', async (t) => {
  const dead = new ScriptedServer(answer);
  const nobody = await dead.listen();
  dead.kill();
  const alive = startServer(t);
  const address = await alive.listen('[::1]:0');
  const { discovery } = newDiscovery(t, { addresses: [nobody, address] });
  await discovery.start();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  t.like(discovery.status.connection, { state: 'connected', address });
});

test('a stream that the server ends in order is opened again without alarm', async (t) => {
  const server = startServer(t, (request, stream, streams) => {
    answer(request, stream);
    if (streams === 1 && request.responseNonce !== '') {
      stream.end();
    }
  });
  const { discovery, lines } = newDiscovery(t, { addresses: [await server.listen()] });
  await discovery.start();
  await until(
    'a second stream',
    () => server.streams,
    (count) => count === 2,
  );
  t.is(discovery.status.lastError, undefined);
  t.false(lines.some((line) => line.startsWith('warn')));
});

test('a server that answers and then fails is asked less and less often', async (t) => {
  const server = startServer(t, (request, stream) => {
    answer(request, stream);
    if (request.responseNonce !== '') {
      stream.emit('error', { code: status.UNAVAILABLE, details: 'out of order' });
    }
  });
  const delays: number[] = [];
  const { discovery } = newDiscovery(t, {
    addresses: [await server.listen()],
    world: {
      now: Date.now,
      random: () => 0.5,
      schedule: (delayMs, run) => {
        const isOther = delayMs === BELIEVED_MS || delayMs === DIFFERENCE.quietMs;
        const isRetry = discovery.status.connection.state !== 'connecting' && delayMs >= 500 && !isOther;
        if (isRetry) {
          delays.push(delayMs);
        }
        const timer = setTimeout(run, isRetry ? 0 : delayMs);
        return () => {
          clearTimeout(timer);
        };
      },
    },
  });
  await discovery.start();
  await until(
    '4 attempts to connect',
    () => delays.length,
    (count) => count >= 4,
  );
  t.deepEqual(delays.slice(0, 4), [500, 1000, 2000, 4000]);
});

test('a server that accepts and never answers is left for another', async (t) => {
  const silent = startServer(t, () => undefined);
  const speaking = startServer(t);
  const addresses = [await silent.listen(), await speaking.listen()];
  const { discovery } = newDiscovery(t, { addresses, hurry: 100 });
  await discovery.start();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  t.regex(discovery.status.lastError?.message ?? '', /nothing came within 15 s/u);
});

test('something that speaks no HTTP/2 is an error and no more', async (t) => {
  const garbage = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('220 smtp.example.com ready\r\n');
  });
  await new Promise<void>((resolve) => {
    garbage.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(() => garbage.close());
  const speaking = startServer(t);
  const address = `127.0.0.1:${(garbage.address() as AddressInfo).port}`;
  const { discovery } = newDiscovery(t, { addresses: [address, await speaking.listen()] });
  await discovery.start();
  await until('the directory is ready', () => discovery.directory.ready, Boolean);
  t.regex(discovery.status.lastError?.message ?? '', new RegExp(`^Control plane ${address}: `, 'u'));
});

test('a sidecar that starts without a control plane serves from disk, and resumes from there', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortexflow-discovery-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const lastGoodFile = join(folder, 'last-good');
  const pinned = ['demo/hello', 'demo/empty'];

  const first = new ScriptedServer(answer);
  const address = await first.listen();
  const before = newDiscovery(t, { addresses: [address], lastGoodFile, pinned });
  await before.discovery.start();
  await until('the directory is ready', () => before.discovery.directory.ready, Boolean);
  await before.discovery.stop();
  first.kill();

  const { discovery, lines } = newDiscovery(t, { addresses: [address], lastGoodFile, pinned });
  await discovery.start();
  t.true(discovery.directory.ready, 'at once');
  t.is(discovery.directory.decide(toHello).action, 'balance');
  const otherPort = { ...toClusterIp, port: 81 };
  t.is(discovery.directory.decide(otherPort).action, 'pass-through', 'it may have been added since');
  t.like(discovery.view().services, [{ name: 'demo/hello', origin: { source: 'disk', version: 'v1' } }]);
  t.true(lines.some((line) => line.startsWith('info Started from the last good table')));

  const second = startServer(t);
  await second.listen(address);
  await until(
    '2 requests at the second server',
    () => second.requests.length,
    (count) => count >= 2,
  );
  t.deepEqual(
    second.requests.slice(0, 2).map(({ initialResourceVersions }) => initialResourceVersions),
    [{ 'demo/hello': 'v1' }, { 'demo/hello/s1': 'v1' }],
  );
  await until(
    'the connection to the other port is refused',
    () => discovery.directory.decide(otherPort).action,
    (action) => action === 'refuse',
  );
});
