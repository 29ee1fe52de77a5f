import { create, toBinary } from '@bufbuild/protobuf';
import test from 'ava';
import { DeltaDiscoveryRequestSchema } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { createTypeCounters } from './counters.ts';
import { readDeltaRequest, RequestReader } from './request.ts';
import { EMPTY_SET, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { createResource } from './resource.ts';
import type { Resource } from './resource.ts';
import { Target } from './target.ts';
import { TypeServer } from './type-server.ts';
import { TypeSession } from './type-session.ts';

const T = 'type.googleapis.com/example.Thing';
const RESPONSE_BYTES = 4096;
const NAMES = Array.from({ length: 500 }, (_, n) => `namespace/service-${n}/*`);

function resourceOf(collection: string, content: string): Resource {
  return createResource(T, collection.replace('*', 'slice'), Buffer.from(content.padEnd(100)));
}

const SET = withResources(
  EMPTY_SET,
  NAMES.map((name) => resourceOf(name, '1')).map((resource) => [resource.name, resource]),
);

function serverOf(set: ResourceSet): TypeServer {
  let lastId = 0;
  const type = { typeUrl: T, protocol: 'delta', fullState: false, counters: createTypeCounters() } as const;
  return new TypeServer(type, new Target(set, RESPONSE_BYTES), () => (lastId += 1));
}

function requestBytes(subscribe: readonly string[], versions: Readonly<Record<string, string>> = {}): Buffer {
  const message = create(DeltaDiscoveryRequestSchema, {
    typeUrl: T,
    resourceNamesSubscribe: [...subscribe],
    initialResourceVersions: versions,
  });
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message));
}

/** Sends all that is due, acknowledged at once, and returns the responses' bytes without their nonces. */
function sendAll(session: TypeSession): Buffer[] {
  const bodies: Buffer[] = [];
  while (!session.isLevel()) {
    const content = session.advance(false);
    if (content === undefined) break;
    const { nonce, body } = session.send(content, 1);
    bodies.push(body);
    session.receive(readDeltaRequest(ackBytes(nonce)), 2);
  }
  return bodies;
}

function ackBytes(responseNonce: string): Buffer {
  const message = create(DeltaDiscoveryRequestSchema, { typeUrl: T, responseNonce });
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message));
}

function openTwo(server: TypeServer, bytes: Buffer): readonly [TypeSession, TypeSession] {
  const reader = new RequestReader((request) => readDeltaRequest(request));
  const open = (): TypeSession => new TypeSession(server, reader.read(Buffer.from(bytes)));
  return [open(), open()];
}

test('given two streams with equal first requests, they share subscriptions and bytes, also after a change', (t) => {
  const server = serverOf(SET);
  const [one, other] = openTwo(server, requestBytes(NAMES));
  const isShared = (): void => {
    const bodies = sendAll(one);
    const others = sendAll(other);
    t.true(bodies.length > 0);
    t.is(bodies.length, others.length);
    for (const [at, body] of bodies.entries()) t.is(others[at]?.buffer, body.buffer);
    t.is(one.subscription, other.subscription);
    t.is(one.acknowledgements.answered, one.subscription);
  };
  isShared();
  const changed = NAMES.slice(0, 20).map((name) => resourceOf(name, '2'));
  server.replace(
    withResources(
      SET,
      changed.map((resource) => [resource.name, resource]),
    ),
  );
  isShared();
});

test('given two streams that come back with equal claims, they share a subscription with nothing due', (t) => {
  const held = NAMES.map((name) => resourceOf(name, '1'));
  const versions = Object.fromEntries(held.map(({ name, version }) => [name, version]));
  const [one, other] = openTwo(serverOf(SET), requestBytes(NAMES, versions));
  t.is(one.subscription, other.subscription);
  t.is(one.subscription.due.size, 0);
});

test('given two streams with equal claims of what does not exist, each is sent the removals', (t) => {
  const versions = { 'namespace/service-0/gone': '0123456789abcdef' };
  const sessions = openTwo(serverOf(SET), requestBytes(NAMES.slice(0, 1), versions));
  for (const session of sessions) {
    t.true(sendAll(session).some((body) => body.includes('namespace/service-0/gone')));
  }
});

test('given more names than a response has room for, looks at each no more than a few times', (t) => {
  let looks = 0;
  const counted = NAMES.map((name) => {
    const resource = resourceOf(name, '1');
    const { deltaEntry } = resource;
    return Object.defineProperty({ ...resource }, 'deltaEntry', {
      get: () => {
        looks += 1;
        return deltaEntry;
      },
    });
  });
  const set = withResources(
    EMPTY_SET,
    counted.map((resource) => [resource.name, resource]),
  );
  const session = new TypeSession(serverOf(set), readDeltaRequest(requestBytes(NAMES)));
  const responses = sendAll(session).length;
  t.true(responses > 10);
  t.true(looks < 4 * NAMES.length, `${looks} looks`);
});
