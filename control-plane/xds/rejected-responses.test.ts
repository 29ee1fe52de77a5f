import test from 'ava';
import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { ClientResourceStatus } from '../../gen/envoy/admin/v3/config_dump_shared_pb.ts';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { encodeDelta, encodeSotw } from '../../test/xds/client.ts';
import { resourceStatuses } from './client-status.ts';
import { createTypeCounters } from './counters.ts';
import { readDeltaRequest, readSotwRequest } from './request.ts';
import type { DeltaRequest, SotwRequest } from './request.ts';
import type { Protocol } from './response.ts';
import { createResource, EMPTY_SNAPSHOT, resourcesOf, withChanges } from './snapshot.ts';
import { Target } from './target.ts';
import { TypeServer } from './type-server.ts';
import { TypeSession } from './type-session.ts';

function keyOf(enumeration: object, value: number): string {
  return Object.entries(enumeration).find(([, other]) => other === value)?.[0] ?? '';
}

const T = 'type.googleapis.com/example.Thing';

/** One client of one type, which answers responses when the story says so. */
class Story {
  readonly #protocol: Protocol;
  readonly #names: readonly string[];
  readonly #server: TypeServer;
  readonly #session: TypeSession;
  readonly #versions = new Map<string, string>();
  #snapshot = EMPTY_SNAPSHOT;
  #lastId = 0;

  constructor(protocol: Protocol, names: readonly string[], fullState = false) {
    this.#protocol = protocol;
    this.#names = names;
    const target = new Target(resourcesOf(this.#snapshot, T), 10_000);
    const type = { typeUrl: T, protocol, fullState, counters: createTypeCounters() };
    this.#server = new TypeServer(type, target, () => (this.#lastId += 1));
    this.#session = new TypeSession(this.#server, this.#request(names));
    // The answer to the first request: there is nothing yet.
    this.accept(this.write().nonce);
  }

  change(entries: Readonly<Record<string, string | undefined>>): void {
    const upserts = Object.entries(entries).flatMap(([name, text]) =>
      text === undefined ? [] : [createResource(T, name, Buffer.from(text))],
    );
    for (const { name, version } of upserts) this.#versions.set(version, entries[name] as string);
    const removals = Object.keys(entries)
      .filter((name) => entries[name] === undefined)
      .map((name) => ({ typeUrl: T, name }));
    this.#snapshot = withChanges(this.#snapshot, { upserts, removals });
    this.#server.replace(resourcesOf(this.#snapshot, T));
  }

  /** The next response: `+name` sent, `-name` removed; empty when there is nothing to send. */
  write(): { readonly sent: string; readonly nonce: string } {
    const content = this.#session.advance(true) ?? this.#session.advance(false);
    if (content === undefined) return { sent: '', nonce: '' };
    const { nonce } = this.#session.send(content, 1);
    const sent = content.upserts.map(({ name }) => `+${name}`).toSorted();
    return { sent: [...sent, ...content.removals.map((name) => `-${name}`).toSorted()].join(' '), nonce };
  }

  accept(nonce: string): void {
    this.#session.receive(this.#request(this.#protocol === 'delta' ? [] : this.#names, nonce), 2);
  }

  /** Returns whether there may be something to send now. */
  reject(nonce: string, error: Status): boolean {
    const names = this.#protocol === 'delta' ? [] : this.#names;
    return this.#session.receive(this.#request(names, nonce, error), 2);
  }

  subscribe(names: readonly string[]): void {
    this.#session.receive(
      readDeltaRequest(encodeDelta({ typeUrl: T, resourceNamesSubscribe: [...names] })),
      2,
    );
  }

  unsubscribe(names: readonly string[]): void {
    this.#session.receive(
      readDeltaRequest(encodeDelta({ typeUrl: T, resourceNamesUnsubscribe: [...names] })),
      2,
    );
  }

  isLevel(): boolean {
    return this.#session.isLevel();
  }

  /** What CSDS says: `name: client status, version`. */
  status(): string[] {
    return [...resourceStatuses(this.#session, false)]
      .map(({ name, clientStatus, versionInfo }) => {
        const version = this.#versions.get(versionInfo) ?? versionInfo;
        return `${name}: ${keyOf(ClientResourceStatus, clientStatus)} ${version}`.trim();
      })
      .toSorted();
  }

  #request(names: readonly string[], responseNonce = '', errorDetail?: Status): DeltaRequest | SotwRequest {
    const init = { typeUrl: T, responseNonce, ...(errorDetail === undefined ? {} : { errorDetail }) };
    return this.#protocol === 'delta'
      ? readDeltaRequest(encodeDelta({ ...init, resourceNamesSubscribe: [...names] }))
      : readSotwRequest(encodeSotw({ ...init, resourceNames: [...names] }));
  }
}

/** Names the resources in the text alone, as Envoy does. */
function inText(message: string): Status {
  return create(StatusSchema, { code: 3, message });
}

/** Names all that was rejected for programs, as our sidecar does. */
function exactly(...names: readonly string[]): Status {
  const fieldViolations = names.map((field) => ({ field, description: 'is bad' }));
  const details = [anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }))];
  return create(StatusSchema, { code: 3, message: 'bad', details });
}

const SUBSCRIPTIONS = [['*'], ['n/a', 'n/b', 'n/c'], ['n/*']] as const;

for (const [protocol, names] of SUBSCRIPTIONS.flatMap((one) => [
  ['delta', one] as const,
  ['sotw', one] as const,
])) {
  const title = `${protocol}, ${names.join(' ')}`;

  test(`${title}: given an error that mentions a resource, sends the others again at the next change`, (t) => {
    const story = new Story(protocol, names);
    story.change({ 'n/a': 'a1', 'n/b': 'b1' });
    const { nonce } = story.write();
    t.false(story.reject(nonce, inText('Error adding n/b: no port')));
    t.deepEqual(
      story.status().filter((line) => !line.startsWith('n/c')),
      ['n/a: REQUESTED a1', 'n/b: NACKED'],
    );
    t.is(story.write().sent, '');
    t.true(story.isLevel());
    story.change({ 'n/c': 'c1' });
    t.false(story.isLevel());
    const change = story.write();
    t.is(change.sent, '+n/c');
    const again = story.write();
    t.is(again.sent, '+n/a');
    t.is(story.write().sent, '');
    story.accept(change.nonce);
    t.deepEqual(story.status(), ['n/a: REQUESTED a1', 'n/b: NACKED', 'n/c: ACKED c1']);
    story.accept(again.nonce);
    t.deepEqual(story.status(), ['n/a: ACKED a1', 'n/b: NACKED', 'n/c: ACKED c1']);
    story.change({ 'n/c': 'c2' });
    t.is(story.write().sent, '+n/c');
    t.is(story.write().sent, '');
  });

  test(`${title}: given an error without a name, sends all again at the next change, apart from it`, (t) => {
    const story = new Story(protocol, names);
    story.change({ 'n/a': 'a1', 'n/b': 'b1' });
    story.reject(story.write().nonce, inText('no'));
    t.deepEqual(
      story.status().filter((line) => !line.startsWith('n/c')),
      ['n/a: NACKED', 'n/b: NACKED'],
    );
    t.is(story.write().sent, '');
    story.change({ 'n/c': 'c1' });
    const change = story.write();
    t.is(change.sent, '+n/c');
    story.accept(change.nonce);
    const again = story.write();
    t.is(again.sent, '+n/a +n/b');
    t.false(story.reject(again.nonce, inText('still no')));
    t.is(story.write().sent, '');
    t.deepEqual(story.status(), ['n/a: NACKED', 'n/b: NACKED', 'n/c: ACKED c1']);
    story.change({ 'n/b': 'b2' });
    const fixed = story.write();
    t.is(fixed.sent, '+n/b');
    story.accept(fixed.nonce);
    const rest = story.write();
    t.is(rest.sent, '+n/a');
    story.accept(rest.nonce);
    t.deepEqual(story.status(), ['n/a: ACKED a1', 'n/b: ACKED b2', 'n/c: ACKED c1']);
  });

  test(`${title}: given an error that names exactly what is bad, sends nothing again`, (t) => {
    const story = new Story(protocol, names);
    story.change({ 'n/a': 'a1', 'n/b': 'b1', 'n/c': 'c1' });
    story.reject(story.write().nonce, exactly('n/b'));
    t.deepEqual(story.status(), ['n/a: ACKED a1', 'n/b: NACKED', 'n/c: ACKED c1']);
    story.change({ 'n/c': 'c2' });
    t.is(story.write().sent, '+n/c');
    t.is(story.write().sent, '');
  });

  test(`${title}: given a list of bad resources that is not complete, sends the others again`, (t) => {
    const story = new Story(protocol, names);
    story.change({ 'n/a': 'a1', 'n/b': 'b1' });
    story.reject(story.write().nonce, exactly('n/b', ''));
    story.change({ 'n/c': 'c1' });
    t.is(story.write().sent, '+n/c');
    t.is(story.write().sent, '+n/a');
  });

  test(`${title}: given an error for an older response, sends again what no later one had`, (t) => {
    const story = new Story(protocol, names);
    story.change({ 'n/a': 'a1', 'n/b': 'b1' });
    const first = story.write();
    story.change({ 'n/b': 'b2' });
    const second = story.write();
    t.is(second.sent, '+n/b');
    t.true(story.reject(first.nonce, inText('no')));
    t.deepEqual(
      story.status().filter((line) => !line.startsWith('n/c')),
      ['n/a: NACKED', 'n/b: REQUESTED b2'],
    );
    story.accept(second.nonce);
    // There is something newer already than what was rejected.
    const again = story.write();
    t.is(again.sent, '+n/a');
    story.accept(again.nonce);
    t.deepEqual(
      story.status().filter((line) => !line.startsWith('n/c')),
      ['n/a: ACKED a1', 'n/b: ACKED b2'],
    );
    t.is(story.write().sent, '');
  });

  test(`${title}: given three responses of which the client rejects the middle one, accepts the others`, (t) => {
    const story = new Story(protocol, names);
    const nonces = ['n/a', 'n/b', 'n/c'].map((name) => {
      story.change({ [name]: '1' });
      return story.write().nonce;
    });
    story.accept(nonces[0] as string);
    t.true(story.reject(nonces[1] as string, inText('no')));
    story.accept(nonces[2] as string);
    t.deepEqual(story.status(), ['n/a: ACKED 1', 'n/b: NACKED', 'n/c: ACKED 1']);
    t.is(story.write().sent, '+n/b');
    t.is(story.write().sent, '');
  });

  test(`${title}: given an error for a response that was answered, changes nothing`, (t) => {
    const story = new Story(protocol, names);
    story.change({ 'n/a': 'a1' });
    const { nonce } = story.write();
    story.accept(nonce);
    t.false(story.reject(nonce, inText('no')));
    t.false(story.reject('made up', inText('no')));
    story.change({ 'n/b': 'b1' });
    t.is(story.write().sent, '+n/b');
    t.is(story.write().sent, '');
    t.true(story.status().includes('n/a: ACKED a1'));
  });
}

for (const names of SUBSCRIPTIONS) {
  test(`delta, ${names.join(' ')}: given a rejected removal, sends it again at the next change`, (t) => {
    const story = new Story('delta', names);
    story.change({ 'n/a': 'a1', 'n/b': 'b1' });
    story.accept(story.write().nonce);
    story.change({ 'n/a': undefined, 'n/b': 'b2' });
    const removal = story.write();
    const rest = story.write();
    t.is(`${removal.sent} ${rest.sent}`.trim(), '+n/b -n/a');
    story.reject(rest.nonce === '' ? removal.nonce : rest.nonce, inText('no'));
    t.false(story.status().includes('n/a: DOES_NOT_EXIST ACKED'));
    story.change({ 'n/c': 'c1' });
    t.is(story.write().sent, '+n/c');
    const again: string[] = [];
    for (let next = story.write(); next.sent !== ''; next = story.write()) again.push(next.sent);
    t.true(again.join(' ').includes('-n/a'));
  });
}

test('delta: given an error without a name, leaves accepted what the response only repeated', (t) => {
  const story = new Story('delta', ['n/a', 'n/b']);
  story.change({ 'n/a': 'a1', 'n/b': 'b1' });
  story.accept(story.write().nonce);
  story.subscribe(['n/a']);
  story.change({ 'n/b': 'b2' });
  const { sent, nonce } = story.write();
  t.is(sent, '+n/a +n/b');
  story.reject(nonce, inText('no'));
  t.deepEqual(story.status(), ['n/a: ACKED a1', 'n/b: NACKED b1']);
});

for (const names of [[], ['n/a', 'n/b', 'n/c']]) {
  test(`sotw, complete, ${names.join(' ') || 'all'}: given an error without a name, leaves accepted what was repeated`, (t) => {
    const story = new Story('sotw', names, true);
    story.change({ 'n/a': 'a1', 'n/b': 'b1' });
    story.accept(story.write().nonce);
    story.change({ 'n/b': 'b2' });
    const { sent, nonce } = story.write();
    t.is(sent, '+n/a +n/b');
    story.reject(nonce, inText('no'));
    t.deepEqual(
      story.status().filter((line) => !line.startsWith('n/c')),
      ['n/a: ACKED a1', 'n/b: NACKED b1'],
    );
    t.is(story.write().sent, '');
    story.change({ 'n/c': 'c1' });
    const complete = story.write();
    t.is(complete.sent, '+n/a +n/b +n/c');
    t.is(story.write().sent, '', 'all of it was in the response to the change');
    story.accept(complete.nonce);
    t.deepEqual(story.status(), ['n/a: ACKED a1', 'n/b: ACKED b2', 'n/c: ACKED c1']);
  });
}

test('sotw, complete: given an error for an older response, sends nothing again that a later one had', (t) => {
  const story = new Story('sotw', [], true);
  story.change({ 'n/a': 'a1' });
  const first = story.write();
  story.change({ 'n/b': 'b1' });
  const second = story.write();
  t.false(story.reject(first.nonce, inText('no')));
  t.is(story.write().sent, '');
  story.accept(second.nonce);
  t.deepEqual(story.status(), ['n/a: ACKED a1', 'n/b: ACKED b1']);
});

test('delta: given a client that gives up what it missed, does not send it again', (t) => {
  const story = new Story('delta', ['n/a', 'n/b', 'n/c']);
  story.change({ 'n/a': 'a1', 'n/b': 'b1' });
  story.reject(story.write().nonce, inText('no'));
  story.unsubscribe(['n/a']);
  story.change({ 'n/c': 'c1' });
  t.is(story.write().sent, '+n/c');
  t.is(story.write().sent, '+n/b');
  t.is(story.write().sent, '');
});

test('delta: given a change of what the client missed, sends it once', (t) => {
  const story = new Story('delta', ['*']);
  story.change({ 'n/a': 'a1', 'n/b': 'b1' });
  story.reject(story.write().nonce, inText('no'));
  story.change({ 'n/a': 'a2', 'n/b': 'b2' });
  t.is(story.write().sent, '+n/a +n/b');
  t.is(story.write().sent, '');
});

test('delta, n/*: given a rejected removal of all that a collection had, sends it again', (t) => {
  const story = new Story('delta', ['n/*']);
  story.change({ 'n/a': 'a1' });
  story.accept(story.write().nonce);
  story.change({ 'n/a': undefined });
  const { sent, nonce } = story.write();
  t.is(sent, '-n/* -n/a');
  story.reject(nonce, inText('no'));
  story.change({ 'm/b': 'b1' });
  t.is(story.write().sent, '-n/* -n/a');
  t.is(story.write().sent, '');
});
