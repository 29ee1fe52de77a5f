import { once } from 'node:events';
import test from 'ava';
import { ApiError, type ApiRequest, type ApiServer, type LinesRequest } from '../../api-server/api-server.ts';
import { createLogger } from '../../process/log.ts';
import { schedule } from '../../process/schedule.ts';
import { type Bundle, secretData } from './bundle.ts';
import { VirtualClock } from '../../test/injector/virtual-clock.ts';
import { CertificateKeeper } from './keeper.ts';
import { freshBundle, ROTATION_POLICY } from './rotation.ts';

const logger = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() });
const world = { now: Date.now, random: Math.random, schedule };

/** A watch that tells of one object after a while. */
async function* onceAdded(
  when: Promise<void>,
  object: object,
  { signal }: LinesRequest,
): AsyncGenerator<string> {
  const closed = once(signal, 'abort');
  await when;
  yield JSON.stringify({ type: 'ADDED', object });
  await closed;
}

test("another replica's Secret that arrives while ours is made is not written over", async (t) => {
  const hosts = ['injector.cortexflow.svc'];
  const theirs = await freshBundle({
    hosts,
    now: Date.now(),
    policy: ROTATION_POLICY,
    isTrusted: () => true,
  });
  const secret = { metadata: { name: 'certificate', resourceVersion: '7' }, data: secretData(theirs) };
  const making = Promise.withResolvers<void>();
  const written: string[] = [];
  const api: ApiServer = {
    address: 'https://api.example',
    request: async ({ method, path }: ApiRequest) => {
      if (method === 'GET' && path.endsWith('/certificate')) return secret;
      if (method === 'GET') return { metadata: { resourceVersion: '1' }, items: [] };
      written.push(method);
      if (method === 'POST')
        throw new ApiError({ status: 409, reason: 'AlreadyExists', message: 'there is one' });
      return secret;
    },
    lines: async (request) => onceAdded(making.promise, secret, request),
    close: () => {},
  };
  const adopted = Promise.withResolvers<Bundle>();
  const keeper = new CertificateKeeper({
    api,
    namespace: 'cortexflow',
    secret: 'certificate',
    hosts,
    policy: ROTATION_POLICY,
    logger,
    world,
    trust: {
      isKnown: true,
      isTrusted: () => true,
      // What is asked for just before a new one is made.
      authorities: () => {
        making.resolve();
        return [];
      },
    },
    changed: (bundle) => adopted.resolve(bundle),
  });
  t.teardown(() => keeper.close());
  t.is((await adopted.promise).server.key, theirs.server.key);
  await keeper.settled();
  t.deepEqual(written, ['POST']);
});

interface StoredSecret {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

/** One Secret, as an API server keeps it for whoever watches. */
class SecretStore {
  writes = 0;
  #secret: StoredSecret;
  #changed = Promise.withResolvers<void>();

  constructor(secret: object) {
    this.#secret = { ...secret, metadata: { name: 'certificate', resourceVersion: '1' } };
  }

  readonly api: ApiServer = {
    address: 'https://api.example',
    request: async ({ method, path, body }: ApiRequest) => {
      if (method === 'PUT') this.#put(body as StoredSecret);
      const { resourceVersion } = this.#secret.metadata;
      return path.endsWith('/certificate')
        ? this.#secret
        : { metadata: { resourceVersion }, items: [this.#secret] };
    },
    lines: async (request) => this.#lines(request),
    close: () => {},
  };

  #put(secret: StoredSecret): void {
    const { resourceVersion } = this.#secret.metadata;
    if (secret.metadata.resourceVersion !== resourceVersion) {
      throw new ApiError({ status: 409, reason: 'Conflict', message: 'it is another one now' });
    }
    this.writes += 1;
    const metadata = { name: 'certificate', resourceVersion: String(Number(resourceVersion) + 1) };
    this.#secret = { ...secret, metadata };
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async *#lines({ signal }: LinesRequest): AsyncGenerator<string> {
    const closed = once(signal, 'abort');
    for (;;) {
      await Promise.race([this.#changed.promise, closed]);
      if (signal.aborted) return;
      yield JSON.stringify({ type: 'MODIFIED', object: this.#secret });
    }
  }
}

const HOSTS = ['injector.cortexflow.svc'];

function keeperOf(store: SecretStore, clock: VirtualClock, hosts = HOSTS): CertificateKeeper {
  return new CertificateKeeper({
    api: store.api,
    namespace: 'cortexflow',
    secret: 'certificate',
    hosts,
    policy: ROTATION_POLICY,
    logger,
    world: { now: clock.now, schedule: clock.schedule, random: () => 1 },
    trust: { isKnown: true, isTrusted: () => true, authorities: () => [] },
    changed: () => {},
  });
}

/** So that whatever is under way gets to where it waits for the clock. */
async function settled(...keepers: readonly CertificateKeeper[]): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    for (const keeper of keepers) await keeper.settled();
  }
}

test('replicas that want other hosts, as during a rollout, do not race', async (t) => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const begin = { hosts: HOSTS, now: clock.now(), policy: ROTATION_POLICY, isTrusted: () => true };
  const store = new SecretStore({ data: secretData(await freshBundle(begin)) });
  const keepers = [keeperOf(store, clock, ['one.example']), keeperOf(store, clock, ['other.example'])];
  t.teardown(() => {
    for (const keeper of keepers) keeper.close();
  });
  const end = clock.now() + 5 * 60_000;
  do await settled(...keepers);
  while (clock.next(end - clock.now()));
  // Each of them once a minute.
  t.true(store.writes >= 5 && store.writes <= 12, String(store.writes));
});

test('an immutable Secret that is of no use: what is to be done about it is said', async (t) => {
  const clock = new VirtualClock(Date.UTC(2030, 0, 1));
  const store = new SecretStore({ data: {}, immutable: true });
  const keeper = keeperOf(store, clock);
  t.teardown(() => keeper.close());
  await settled(keeper);
  t.is(
    keeper.obstacle,
    'waiting for Secret cortexflow/certificate: it is immutable, so what is wrong with it cannot be set right: ' +
      'delete it (kubectl delete secret certificate -n cortexflow), and the injector makes another',
  );
  t.is(store.writes, 0);
});
