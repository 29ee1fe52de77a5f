import test from 'ava';
import { ApiError, type ApiRequest, type ApiServer } from '../../api-server/api-server.ts';
import { createLogger } from '../../process/log.ts';
import { schedule } from '../../process/schedule.ts';
import { type Bundle, secretData } from './bundle.ts';
import { CertificateKeeper } from './keeper.ts';
import { freshBundle, ROTATION_POLICY } from './rotation.ts';

const logger = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() });
const world = { now: Date.now, random: Math.random, schedule };

/** A watch that tells of one object after a while. */
async function* onceAdded(when: Promise<void>, object: object): AsyncGenerator<string> {
  await when;
  yield JSON.stringify({ type: 'ADDED', object });
  await new Promise(() => {});
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
    lines: async () => onceAdded(making.promise, secret),
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
