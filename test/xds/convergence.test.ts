import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import * as fc from 'fast-check';
import type { DeltaDiscoveryResponse } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import { deltaStream, sotwStream } from './client.ts';
import type { DeltaStream, SotwStream } from './client.ts';
import { DeltaModel, expected, inOrder, SotwModel } from './model.ts';
import { serve } from './serve.ts';
import type { Serving } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';
const FENCE = 'type.googleapis.com/example.Fence';
const RESOURCES = Array.from({ length: 12 }, (_, at) => `n/${'st'[at % 2]}/${at}`);
const NAMES = [...RESOURCES, '*', 'n/s/*', 'n/t/*'];

const names = fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 4 });
const command = fc.oneof(
  fc.record({
    kind: fc.constant('change' as const),
    edits: fc.array(fc.tuple(fc.constantFrom(...RESOURCES), fc.option(fc.integer({ min: 1, max: 3000 }))), {
      maxLength: 6,
    }),
  }),
  fc.record({ kind: fc.constant('request' as const), subscribe: names, unsubscribe: names }),
  fc.record({ kind: fc.constant('reconnect' as const) }),
  fc.record({ kind: fc.constant('pause' as const), ms: fc.integer({ min: 0, max: 5 }) }),
);
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never;

/** The smallest window that HTTP/2 knows makes every response wait for the client again and again. */
const TINY_WINDOW = { 'grpc-node.flow_control_window': 1024 };

function change(
  serving: Serving,
  truth: Map<string, string>,
  edits: readonly (readonly [string, number | null])[],
): void {
  const entries: Record<string, string | undefined> = {};
  for (const [name, size] of edits) {
    const text = size === null ? undefined : `${name}=${'x'.repeat(size)}`;
    entries[name] = text;
    if (text === undefined) truth.delete(name);
    else truth.set(name, text);
  }
  serving.resources.put(T, entries);
}

interface Client {
  request(subscribe: readonly string[], unsubscribe: readonly string[]): Promise<void>;
  reconnect(): Promise<void>;
  /** Resolves when the client was told all there is to be told by now. */
  settle(): Promise<void>;
  check(truth: ReadonlyMap<string, string>): [held: string[], truth: string[]];
  close(): void;
}

/** Holds the client against the truth once all is told, and again after everything that there is changed. */
async function play(client: Client, serving: Serving, commands: readonly Command[]): Promise<void> {
  const truth = new Map<string, string>();
  const level = async (): Promise<void> => {
    await client.settle();
    const [held, due] = client.check(truth);
    assert.deepEqual(held, due);
  };
  for (const one of commands) {
    if (one.kind === 'change') change(serving, truth, one.edits);
    else if (one.kind === 'request') await client.request(one.subscribe, one.unsubscribe);
    else if (one.kind === 'reconnect') await client.reconnect();
    else await sleep(one.ms);
  }
  await level();
  // By now the server has heard everything: what was given up may not come any more.
  change(
    serving,
    truth,
    RESOURCES.map((name, at) => [name, at % 3 === 0 ? null : 10 + at]),
  );
  await level();
}

class DeltaClient implements Client {
  readonly #address: string;
  readonly #model = new DeltaModel();
  #stream: DeltaStream;
  #fences = 0;

  constructor(address: string) {
    this.#address = address;
    this.#stream = this.#open();
  }

  async request(subscribe: readonly string[], unsubscribe: readonly string[]): Promise<void> {
    const given = unsubscribe.filter((name) => !subscribe.includes(name));
    // What arrived is answered first; what is still under way crosses the request.
    for (let response = this.#stream.take(); response !== undefined; response = this.#stream.take()) {
      this.#receive(response);
    }
    this.#model.unsubscribe(given);
    this.#model.subscribe(subscribe);
    this.#stream.send({
      typeUrl: T,
      resourceNamesSubscribe: [...subscribe],
      resourceNamesUnsubscribe: given,
    });
  }

  async reconnect(): Promise<void> {
    this.#stream.close();
    this.#model.reconnect();
    this.#stream = this.#open();
  }

  /** The answer to a fence is a removal of the type that comes first: the last thing that is told. */
  async settle(): Promise<void> {
    this.#fences += 1;
    const name = `${this.#fences}`;
    this.#stream.send({ typeUrl: FENCE, resourceNamesSubscribe: [name] });
    for (;;) {
      const response = await this.#stream.next();
      this.#receive(response);
      if (response.typeUrl === FENCE && response.removedResources.includes(name)) break;
    }
    this.#model.heard();
  }

  check(truth: ReadonlyMap<string, string>): [string[], string[]] {
    return [inOrder(this.#model.texts), inOrder(expected(truth, this.#model.names))];
  }

  close(): void {
    this.#stream.close();
  }

  #receive(response: DeltaDiscoveryResponse): void {
    if (response.typeUrl === FENCE) return;
    this.#model.receive(response);
    const rejects = response.nonce.endsWith('3') ? { errorDetail: { code: 3, message: 'no' } } : {};
    this.#stream.send({ typeUrl: T, responseNonce: response.nonce, ...rejects });
  }

  #open(): DeltaStream {
    this.#model.subscribe(['never']);
    const stream = deltaStream(this.#address, TINY_WINDOW);
    stream.send({
      typeUrl: T,
      resourceNamesSubscribe: [...this.#model.names],
      initialResourceVersions: this.#model.versions,
    });
    return stream;
  }
}

class SotwClient implements Client {
  readonly #address: string;
  readonly #fullState: boolean;
  #model: SotwModel;
  #stream: SotwStream;
  #lastNonce = '';
  #fences = 0;
  /** Did it give up a name that the server may not have heard of? */
  #gaveUp = false;

  constructor(address: string, fullState: boolean) {
    this.#address = address;
    this.#fullState = fullState;
    this.#model = new SotwModel(fullState);
    this.#stream = sotwStream(address, TINY_WINDOW);
    this.#want(new Set(['never']));
  }

  async request(subscribe: readonly string[], unsubscribe: readonly string[]): Promise<void> {
    // Who gives up a name and wants it again while a response is under way is not heard: the protocol is so. The
    // response may also set out only after the name was given up: it makes that request a stale one.
    if (unsubscribe.length > 0 || this.#gaveUp) await this.settle();
    this.#gaveUp = unsubscribe.length > 0;
    const next = new Set([...this.#model.names, ...subscribe, 'never']);
    for (const name of unsubscribe) next.delete(name);
    next.add('never');
    this.#want(next);
  }

  async reconnect(): Promise<void> {
    const { names: wanted } = this.#model;
    this.#stream.close();
    this.#model = new SotwModel(this.#fullState);
    this.#stream = sotwStream(this.#address, TINY_WINDOW);
    this.#lastNonce = '';
    this.#gaveUp = false;
    this.#want(wanted);
  }

  async settle(): Promise<void> {
    // An answer to the last response may bring another one, so that one fence is not enough.
    for (let quiet = 0; quiet < 2;) quiet = (await this.#fence()) ? quiet + 1 : 0;
    this.#gaveUp = false;
  }

  check(truth: ReadonlyMap<string, string>): [string[], string[]] {
    const due = expected(truth, this.#model.names);
    const held = [...this.#model.held].filter(([name]) => this.#fullState || due.has(name));
    return [inOrder(held), inOrder(due)];
  }

  close(): void {
    this.#stream.close();
  }

  /** True where nothing else came before the answer. */
  async #fence(): Promise<boolean> {
    this.#fences += 1;
    const typeUrl = `${FENCE}${this.#fences}`;
    this.#stream.send({ typeUrl });
    for (let isQuiet = true; ; isQuiet = false) {
      const response = await this.#stream.next();
      if (response.typeUrl === typeUrl) return isQuiet;
      this.#model.receive(response);
      this.#lastNonce = response.nonce;
      this.#send(response.nonce.endsWith('3') ? { code: 3, message: 'no' } : undefined);
    }
  }

  #want(wanted: ReadonlySet<string>): void {
    this.#model.want(wanted);
    this.#send(undefined);
  }

  #send(errorDetail: { code: number; message: string } | undefined): void {
    this.#stream.send({
      typeUrl: T,
      resourceNames: [...this.#model.names],
      responseNonce: this.#lastNonce,
      ...(errorDetail === undefined ? {} : { errorDetail }),
    });
  }
}

const variants: [string, (address: string) => Client, string[]][] = [
  ['delta', (address) => new DeltaClient(address), []],
  ['state of the world, complete', (address) => new SotwClient(address, true), [T]],
  ['state of the world, by changes', (address) => new SotwClient(address, false), []],
];

for (const [title, connect, fullStateTypes] of variants) {
  test(`over a socket with a tiny window, every client ends up with what it asked for: ${title}`, async (t) => {
    const property = fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 30, size: 'max' }), async (commands) => {
        const limits = { responseBytes: 4000, types: 1000 };
        const serving = await serve({ order: [FENCE, T], fullStateTypes, limits });
        const client = connect(serving.address);
        try {
          await play(client, serving, commands);
        } finally {
          client.close();
          await serving.stop();
        }
      }),
      { numRuns: 25 },
    );
    await t.notThrowsAsync(property);
  });
}
