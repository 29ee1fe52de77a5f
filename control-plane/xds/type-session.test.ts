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
import { covers, DeltaModel, expected, inOrder, SotwModel } from '../../test/xds/model.ts';
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
  fc.record({ kind: fc.constant('read' as const) }),
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

/** Holds the client against the truth once all is told, and again after something changed. */
function playDelta(commands: readonly Command[]): void {
  const world = new World('delta', false);
  const client = new DeltaModel();
  const open = (init: DeltaInit): TypeSession =>
    new TypeSession(world.server, readDeltaRequest(encodeDelta(init)));
  client.subscribe(['never']);
  let session = open({ typeUrl: T, resourceNamesSubscribe: ['never'] });
  let network: Buffer[] = [];
  let lastNonce = '';
  let requests: DeltaInit[] = [];
  let heard = new Set<string>(['never']);

  const read = (): boolean => {
    const init = requests.shift();
    if (init === undefined) return false;
    for (const name of init.resourceNamesUnsubscribe ?? []) heard.delete(name);
    for (const name of init.resourceNamesSubscribe ?? []) heard.add(name);
    session.receive(readDeltaRequest(encodeDelta(init)), 0);
    return true;
  };
  const write = (additionsOnly: boolean): boolean => {
    const content = session.advance(additionsOnly);
    if (content === undefined) return false;
    for (const name of [...content.upserts.map((one) => one.name), ...content.removals]) {
      if (!covers(heard, name)) throw new Error(`${name} is sent, and was given up before`);
    }
    network.push(session.send(content, 0).bytes);
    return true;
  };
  const deliver = (reject: boolean): void => {
    const bytes = network.shift();
    if (bytes === undefined) return;
    const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
    if (reject) client.mayRepeat = true;
    else client.receive(response);
    const { missed } = session.acknowledgements;
    const isQuiet = session.isLevel() && network.length === 0 && requests.length === 0;
    if (!reject && isQuiet && missed === undefined) client.mayRepeat = false;
    lastNonce = response.nonce;
    const error = reject ? { errorDetail: { code: 3, message: 'no' } } : {};
    requests.push({ typeUrl: T, responseNonce: response.nonce, ...error });
  };
  const perform: { [K in Command['kind']]: (command: Extract<Command, { kind: K }>) => void } = {
    change: ({ edits }) => world.change(edits),
    request: ({ subscribe, unsubscribe, stale }) => {
      const given = unsubscribe.filter((name) => !subscribe.includes(name));
      client.unsubscribe(given);
      client.subscribe(subscribe);
      const init = { typeUrl: T, resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: given };
      requests.push({ ...init, responseNonce: stale ? 'zz' : lastNonce });
    },
    write: ({ additionsOnly }) => void write(additionsOnly),
    deliver: ({ reject }) => deliver(reject),
    read: () => void read(),
    reconnect: () => {
      network = [];
      requests = [];
      lastNonce = '';
      client.reconnect();
      client.subscribe(['never']);
      heard = new Set(client.names);
      session = open({
        typeUrl: T,
        resourceNamesSubscribe: [...client.names],
        initialResourceVersions: client.versions,
      });
    },
  };
  for (const one of commands) perform[one.kind](one as never);
  const settle = (): void => {
    do {
      while (read());
      while (network.length > 0) deliver(false);
    } while (requests.length > 0 || write(true) || write(false));
    // Plain assertions, so that the counterexample that is reported is the smallest.
    assert.deepEqual(inOrder(client.texts), inOrder(expected(world.truth, client.names)));
  };
  // What the client rejected without naming anything is sent again at the next change.
  world.change([['b', '8']]);
  settle();
  if (!session.isLevel()) throw new Error('nothing is left to send, and yet the session is not level');
  assert.equal(session.acknowledgements.missed, undefined);
  client.mayRepeat = false;
  world.change([
    ['a', '9'],
    ['n/s/1', '9'],
  ]);
  settle();
}

/** One delta client and the session that serves it; what each says is carried over by hand. */
class Delta {
  readonly client = new DeltaModel();
  readonly #session: TypeSession;

  constructor(world: World, subscribe: readonly string[]) {
    this.client.subscribe(subscribe);
    const init = { typeUrl: T, resourceNamesSubscribe: [...subscribe] };
    this.#session = new TypeSession(world.server, readDeltaRequest(encodeDelta(init)));
  }

  /** What the server writes next, in one line: `+name` sent, `-name` removed; and how it arrives. */
  write(): { readonly told: string; readonly arrive: () => void } | undefined {
    const content = this.#session.advance(false);
    if (content === undefined) return undefined;
    const sent = content.upserts.map(({ name }) => `+${name}`).toSorted();
    const told = [...sent, ...content.removals.map((name) => `-${name}`).toSorted()].join(' ');
    const response = fromBinary(DeltaDiscoveryResponseSchema, this.#session.send(content, 0).bytes);
    return { told, arrive: () => this.client.receive(response) };
  }

  /** Returns how the request is read by the server. */
  request(subscribe: readonly string[], unsubscribe: readonly string[]): () => void {
    this.client.unsubscribe(unsubscribe);
    this.client.subscribe(subscribe);
    const init = { resourceNamesSubscribe: [...subscribe], resourceNamesUnsubscribe: [...unsubscribe] };
    const bytes = encodeDelta({ typeUrl: T, ...init });
    return () => {
      this.#session.receive(readDeltaRequest(bytes), 0);
      this.client.heard();
    };
  }
}

test('delta: what crosses the request that gives it up is dropped by the client, and not sent any more', (t) => {
  const world = new World('delta', false);
  world.change([['a', '1']]);
  const delta = new Delta(world, ['a']);
  delta.write()?.arrive();
  const read = delta.request([], ['a']);
  world.change([['a', '2']]);
  const crossing = delta.write();
  t.is(crossing?.told, '+a');
  crossing?.arrive();
  read();
  t.deepEqual(inOrder(delta.client.texts), []);
  world.change([['a', '3']]);
  t.is(delta.write(), undefined);
  world.change([['a', undefined]]);
  t.is(delta.write(), undefined);
});

for (const [before, after] of [
  ['n/s/*', 'n/s/*'],
  ['n/s/1', 'n/s/*'],
  ['n/s/*', '*'],
  ['*', '*'],
  ['*', 'n/s/*'],
] as const) {
  test(`delta: ${before} is given up and ${after} asked for while a resource arrives that is gone by then`, (t) => {
    const world = new World('delta', false);
    world.change([['n/s/2', '1']]);
    const delta = new Delta(world, [before, 'never']);
    delta.write()?.arrive();
    world.change([['n/s/1', '1']]);
    const crossing = delta.write();
    t.is(crossing?.told, '+n/s/1');
    const requests = [delta.request([], [before]), delta.request([after], [])];
    crossing?.arrive();
    world.change([['n/s/1', undefined]]);
    for (const read of requests) read();
    for (let next = delta.write(); next !== undefined; next = delta.write()) next.arrive();
    t.deepEqual(inOrder(delta.client.texts), inOrder(world.truth));
  });
}

test('delta: whatever happened, in the end the client holds what it is subscribed to', (t) => {
  t.notThrows(() =>
    fc.assert(fc.property(fc.array(command, { maxLength: 60, size: 'max' }), playDelta), { numRuns: 1000 }),
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
    if (!reject) client.receive(response);
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
    read: () => undefined,
    reconnect,
  };
  for (const one of commands) perform[one.kind](one as never);
  // What the client rejected without naming anything is sent again at the next change.
  world.change([['b', '8']]);
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
