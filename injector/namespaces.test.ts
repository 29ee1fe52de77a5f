import test from 'ava';
import { ApiError, type ApiRequest, type ApiServer } from '../api-server/api-server.ts';
import { createLogger } from '../process/log.ts';
import { watchNamespaces } from './namespaces.ts';

const logger = createLogger({ format: 'json', level: () => 'error', write: () => {}, now: () => new Date() });

/** Whose list of Namespaces never ends, and which is asked for single ones. */
function slowApi(answer: (path: string) => Promise<unknown>, list: Promise<unknown> = new Promise(() => {})) {
  const asked: string[] = [];
  const api: ApiServer = {
    address: 'https://api.example',
    request: ({ path }: ApiRequest) => {
      if (path === '/api/v1/namespaces') return list;
      asked.push(path);
      return answer(path);
    },
    lines: () => new Promise(() => {}),
    close: () => {},
  };
  const namespaces = watchNamespaces({ api, logger, synced: () => {} });
  return { asked, find: namespaces.find, close: () => namespaces.watch.close() };
}

test('one that is not known yet is asked for once, however many reviews wait', async (t) => {
  const labels = { 'proxy-injection': 'disabled' };
  const { asked, find, close } = slowApi(async () => ({ metadata: { name: 'demo', labels } }));
  t.teardown(close);
  const found = await Promise.all([find('demo'), find('demo'), find('demo')]);
  for (const namespace of found) t.deepEqual(namespace, { name: 'demo', labels, annotations: null });
  t.deepEqual(asked, ['/api/v1/namespaces/demo']);
});

test('one that cannot be read has no opinion, and is asked for again the next time', async (t) => {
  const { asked, find, close } = slowApi(() => Promise.reject(new Error('no route to host')));
  t.teardown(close);
  t.is(await find('demo'), undefined);
  t.is(await find('demo'), undefined);
  t.is(asked.length, 2);
});

function missing(): Promise<never> {
  return Promise.reject(new ApiError({ status: 404, reason: 'NotFound', message: 'not found' }));
}

test('one that does not exist is not asked for again at once, and is found as soon as it exists', async (t) => {
  const list = Promise.withResolvers<unknown>();
  const { asked, find, close } = slowApi(missing, list.promise);
  t.teardown(close);
  t.is(await find('demo'), undefined);
  const waiting = find('demo');
  list.resolve({ metadata: { resourceVersion: '1' }, items: [{ metadata: { name: 'demo' } }] });
  t.deepEqual(await waiting, { name: 'demo', labels: null, annotations: null });
  t.is(asked.length, 1);
});

test('made-up names keep the API server no busier than so many a second', async (t) => {
  const { asked, find, close } = slowApi(missing);
  t.teardown(close);
  const begun = performance.now();
  const finding: unknown[] = [];
  for (let index = 0; index < 1_000; index += 1) {
    finding.push(find(`demo-${index}`));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(finding);
  const seconds = Math.ceil((performance.now() - begun) / 1_000) + 1;
  t.true(asked.length >= 100 && asked.length <= 100 * seconds, String(asked.length));
});

test('whoever makes names up reaches nothing with them', async (t) => {
  const { asked, find, close } = slowApi(() => new Promise(() => {}));
  t.teardown(close);
  for (const name of ['../secrets/a', 'a/b', 'A', '', 'a?b', 'x'.repeat(64)]) {
    t.is(await find(name), undefined);
  }
  t.deepEqual(asked, []);
  for (let index = 0; index < 100; index += 1) void find(`demo-${index}`);
  t.is(asked.length, 16);
  t.is(await find('one-more'), undefined);
});
