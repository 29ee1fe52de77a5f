import assert from 'node:assert/strict';
import test from 'ava';
import { fromBinary } from '@bufbuild/protobuf';
import * as fc from 'fast-check';
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { encodeDelta, encodeSotw } from '../../test/xds/client.ts';
import type { DeltaInit } from '../../test/xds/client.ts';
import { DeltaModel, expected, inOrder, SotwModel } from '../../test/xds/model.ts';
import { createTypeCounters } from './counters.ts';
import { readDeltaRequest, readSotwRequest } from './request.ts';
import type { Protocol } from './response.ts';
import { createResource, EMPTY_SNAPSHOT, resourcesOf, withChanges } from './snapshot.ts';
import type { Snapshot } from './snapshot.ts';
import { Target } from './target.ts';
import { TypeServer } from './type-server.ts';
import { TypeSession } from './type-session.ts';

const T = 'type.googleapis.com/example.Thing';
const RESOURCES = ['a', 'b', 'n/s/1', 'n/s/2', 'n/s/3', 'n/t/1', 'n/t/2'];
const NAMES = [...RESOURCES, '*', 'n/s/*', 'n/t/*', 'never'];

const names = fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 4 });
const command = fc.oneof(
  fc.record({
    kind: fc.constant('change' as const),
    edits: fc.array(fc.tuple(fc.constantFrom(...RESOURCES), fc.constantFrom('1', '2', '3', undefined)), {
      maxLength: 4,
    }),
  }),
  fc.record({
    kind: fc.constant('request' as const),
    subscribe: names,
    unsubscribe: names,
    stale: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('write' as const), additionsOnly: fc.boolean() }),
  fc.record({ kind: fc.constant('deliver' as const), reject: fc.boolean() }),
  fc.record({ kind: fc.constant('reconnect' as const) }),
);
type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;

/** The truth, and a server of it without any socket. */
class World {
  readonly truth = new Map<string, string>();
  readonly server: TypeServer;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  #lastId = 0;

  constructor(protocol: Protocol, fullState: boolean) {
    // Room for two or three resources, so that nearly every answer comes in pieces.
    const target = new Target(resourcesOf(EMPTY_SNAPSHOT, T), 200);
    const type = { typeUrl: T, protocol, fullState, counters: createTypeCounters() };
    this.server = new TypeServer(type, target, () => (this.#lastId += 1));
  }

  change(edits: readonly (readonly [string, string | undefined])[]): void {
    for (const [name, text] of edits) {
      if (text === undefined) this.truth.delete(name);
      else this.truth.set(name, `${name}=${text}`);
    }
    const last = new Map(edits);
    const upserts = [...last].flatMap(([name, text]) =>
      text === undefined ? [] : [createResource(T, name, Buffer.from(`${name}=${text}`))],
    );
    const removals = [...last].flatMap(([name, text]) => (text === undefined ? [{ typeUrl: T, name }] : []));
    this.#snapshot = withChanges(this.#snapshot, { upserts, removals });
    this.server.replace(resourcesOf(this.#snapshot, T));
  }
}

function playDelta(commands: readonly Command[]): { held: Map<string, string>; truth: Map<string, string> } {
  const world = new World('delta', false);
  const client = new DeltaModel();
  const open = (init: DeltaInit): TypeSession =>
    new TypeSession(world.server, readDeltaRequest(encodeDelta(init)));
  client.subscribe(['never']);
  let session = open({ typeUrl: T, resourceNamesSubscribe: ['never'] });
  let network: Buffer[] = [];
  let lastNonce = '';

  const write = (additionsOnly: boolean): boolean => {
    const content = session.advance(additionsOnly);
    if (content !== undefined) network.push(session.send(content, 0).bytes);
    return content !== undefined;
  };
  const deliver = (reject: boolean): void => {
    const bytes = network.shift();
    if (bytes === undefined) return;
    const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    client.receive(response);
    if (session.isLevel() && network.length === 0) client.mayRepeat = false;
    lastNonce = response.nonce;
    const error = reject ? { errorDetail: { code: 3, message: 'no' } } : {};
    session.receive(
      readDeltaRequest(encodeDelta({ typeUrl: T, responseNonce: response.nonce, ...error })),
      0,
    );
  };
  const perform: { [K in Command['kind']]: (command: Extract<Command, { kind: K }>) => void } = {
    change: ({ edits }) => world.change(edits),
    request: ({ subscribe, unsubscribe, stale }) => {
      // What is on its way belongs to the time before: a real client cannot tell, so it is let through first.
      while (network.length > 0) deliver(false);
      const given = unsubscribe.filter((name) => !subscribe.includes(name));
      client.unsubscribe(given);
      client.subscribe(subscribe);
      const init = { typeUrl: T, resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: given };
      session.receive(readDeltaRequest(encodeDelta({ ...init, responseNonce: stale ? 'zz' : lastNonce })), 0);
    },
    write: ({ additionsOnly }) => void write(additionsOnly),
    deliver: ({ reject }) => deliver(reject),
    reconnect: () => {
      network = [];
      client.reconnect();
      client.subscribe(['never']);
      session = open({
        typeUrl: T,
        resourceNamesSubscribe: [...client.names],
        initialResourceVersions: client.versions,
      });
    },
  };
  for (const one of commands) perform[one.kind](one as never);
  const settle = (): void => {
    while (write(true) || write(false)) while (network.length > 0) deliver(false);
    while (network.length > 0) deliver(false);
  };
  settle();
  if (!session.isLevel()) throw new Error('nothing is left to send, and yet the session is not level');
  client.mayRepeat = false;
  world.change([
    ['a', '9'],
    ['n/s/1', '9'],
  ]);
  settle();
  return { held: client.texts, truth: expected(world.truth, client.names) };
}

test('delta: whatever happened, in the end the client holds what it is subscribed to', (t) => {
  // Plain assertions, so that the counterexample that is reported is the smallest.
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
        const { held, truth } = playDelta(commands);
        assert.deepEqual(inOrder(held), inOrder(truth));
      }),
      { numRuns: 1000 },
    ),
  );
});

function playSotw(
  commands: readonly Command[],
  fullState: boolean,
): { held: Map<string, string>; truth: Map<string, string> } {
  const world = new World('sotw', fullState);
  let client = new SotwModel(fullState);
  let session: TypeSession | undefined;
  let network: Buffer[] = [];
  let lastNonce = '';

  const request = (error = {}): void => {
    const init = { typeUrl: T, resourceNames: [...client.names], responseNonce: lastNonce, ...error };
    const bytes = encodeSotw(init);
    if (session === undefined) session = new TypeSession(world.server, readSotwRequest(bytes));
    else session.receive(readSotwRequest(bytes), 0);
  };
  const write = (additionsOnly: boolean): boolean => {
    const content = session?.advance(additionsOnly);
    if (session === undefined || content === undefined) return false;
    network.push(session.send(content, 0).bytes);
    return true;
  };
  const deliver = (reject: boolean): void => {
    const bytes = network.shift();
    if (bytes === undefined) return;
    const response = fromBinary(DiscoveryResponseSchema, bytes);
    client.receive(response);
    lastNonce = response.nonce;
    request(reject ? { errorDetail: { code: 3, message: 'no' } } : {});
  };
  const reconnect = (): void => {
    const wanted = client.names;
    network = [];
    lastNonce = '';
    session = undefined;
    client = new SotwModel(fullState);
    client.want(new Set(['never', ...wanted]));
    request();
  };
  reconnect();
  const perform: { [K in Command['kind']]: (command: Extract<Command, { kind: K }>) => void } = {
    change: ({ edits }) => world.change(edits),
    request: ({ subscribe, unsubscribe }) => {
      const next = new Set([...client.names, ...subscribe]);
      // Who gives up a name and wants it again while a response is under way is not heard by the server, which
      // ignores both as stale: the protocol has no answer to that, so it is not asked for one.
      if (network.length === 0) for (const name of unsubscribe) next.delete(name);
      client.want(new Set(['never', ...next]));
      request();
    },
    write: ({ additionsOnly }) => void write(additionsOnly),
    deliver: ({ reject }) => deliver(reject),
    reconnect,
  };
  for (const one of commands) perform[one.kind](one as never);
  while (write(true) || write(false) || network.length > 0) while (network.length > 0) deliver(false);
  if (session?.isLevel() !== true)
    throw new Error('nothing is left to send, and yet the session is not level');
  return { held: client.held, truth: expected(world.truth, client.names) };
}

test('state of the world, complete: in the end the client holds what it is subscribed to', (t) => {
  // Plain assertions, so that the counterexample that is reported is the smallest.
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
        const { held, truth } = playSotw(commands, true);
        assert.deepEqual(inOrder(held), inOrder(truth));
      }),
      { numRuns: 1000 },
    ),
  );
});

test('state of the world, by changes: in the end the client holds all that is there as it is', (t) => {
  // Plain assertions, so that the counterexample that is reported is the smallest.
  t.notThrows(() =>
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (commands) => {
        const { held, truth } = playSotw(commands, false);
        const present = [...held].filter(([name]) => truth.has(name));
        assert.deepEqual(inOrder(present), inOrder(truth));
      }),
      { numRuns: 1000 },
    ),
  );
});
