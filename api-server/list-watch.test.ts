import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { createLogger } from '../process/log.ts';
import { until, within } from '../test/until.ts';
import type { KubernetesObject } from './api-server.ts';
import { HttpApiServer } from './http.ts';
import { listWatch, type ListWatchLimits } from './list-watch.ts';
import { REAL_WORLD } from './world.ts';

type Answer = (response: ServerResponse, query: URLSearchParams) => void;

interface Script {
  /** One after the other; a request that comes after the last of them hangs. */
  readonly lists: readonly Answer[];
  readonly watches: readonly Answer[];
}

/** An API server that does what it is told, one request after another; a real one cannot be made to misbehave. */
async function observe(t: ExecutionContext, script: Script, limits: Partial<ListWatchLimits> = {}) {
  const [lists, watches] = [[...script.lists], [...script.watches]];
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const { searchParams: query } = new URL(request.url!, 'http://api');
    asked.push(describe(query));
    (query.has('watch') ? watches : lists).shift()?.(response, query);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const api = new HttpApiServer(
    { server: address, current: async () => ({ headers: {}, tls: {} }) },
    'a-test',
  );
  const receiver = new Recorded();
  const problems: unknown[] = [];
  const logger = createLogger({
    format: 'json',
    level: () => 'warn',
    write: (line) => problems.push((JSON.parse(line) as { problem: unknown }).problem),
    now: () => new Date(0),
  });
  const watched = listWatch({
    api,
    path: '/api/v1/things',
    receiver,
    logger,
    limits,
    strip: ({ metadata: { name, resourceVersion = '' } }) => ({ metadata: { name, resourceVersion } }),
    world: { ...REAL_WORLD, random: () => 0 },
  });
  t.teardown(() => {
    watched.close();
    api.close();
    server.closeAllConnections();
    server.close();
  });
  return { watched, receiver, asked, problems, server };
}

function describe(query: URLSearchParams): string {
  if (query.has('watch')) return `watch ${query.get('resourceVersion')}`;
  return `list ${query.get('limit') ?? 'all'}${query.has('continue') ? ` from ${query.get('continue')}` : ''}`;
}

/** What is known after everything that was told, and how often it was told. */
class Recorded {
  readonly told: string[] = [];
  #waiting: (() => void)[] = [];

  replaced(objects: readonly KubernetesObject[]): void {
    this.#tell(`replaced ${objects.map(({ metadata }) => metadata.name).join(',')}`);
  }

  changed(object: KubernetesObject): void {
    this.#tell(`changed ${object.metadata.name}@${object.metadata.resourceVersion}`);
  }

  deleted(object: KubernetesObject): void {
    this.#tell(`deleted ${object.metadata.name}`);
  }

  synced(): void {
    this.#tell('synced');
  }

  /** Resolves when so much was told. */
  async length(least: number): Promise<readonly string[]> {
    while (this.told.length < least) {
      const woken = new Promise<void>((resolve) => this.#waiting.push(resolve));
      await within(`event ${least} after ${this.told.join('; ')}`, woken);
    }
    return this.told;
  }

  #tell(what: string): void {
    this.told.push(what);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

function thing(name: string, resourceVersion: string): object {
  return { metadata: { name, resourceVersion }, spec: 'large' };
}

function page(resourceVersion: string, names: readonly string[], next?: string): Answer {
  const items = names.map((name) => thing(name, '1'));
  const metadata = { resourceVersion, ...(next === undefined ? {} : { continue: next }) };
  return (response) => response.end(JSON.stringify({ kind: 'ThingList', metadata, items }));
}

function refusal(status: number, headers: Record<string, string> = {}): Answer {
  return (response) =>
    response.writeHead(status, headers).end(JSON.stringify({ kind: 'Status', code: status, message: 'no' }));
}

function event(type: string, name: string, resourceVersion: string): string {
  return `${JSON.stringify({ type, object: thing(name, resourceVersion) })}\n`;
}

const hang: Answer = () => {};

function again(answer: Answer): readonly Answer[] {
  return Array.from({ length: 50 }, () => answer);
}

const tooLong: Answer = (response) => response.end(Buffer.alloc(33 * 1024 * 1024, ' '));

/** Tells the events; then the watch stays open, or ends, or is cut. */
function tell(events: readonly string[], then: 'stay' | 'end' | 'cut' = 'stay'): Answer {
  return (response) => {
    response.flushHeaders();
    response.write(events.join(''), () => {
      if (then === 'end') response.end();
      if (then === 'cut') response.destroy();
    });
  };
}

test('pages are told as one, then changes as they come', async (t) => {
  const { watched, receiver, asked } = await observe(
    t,
    {
      lists: [page('7', ['a', 'b'], 'token'), page('7', ['c'])],
      watches: [tell([event('ADDED', 'd', '8'), event('MODIFIED', 'a', '9'), event('DELETED', 'b', '10')])],
    },
    { pageSize: 2 },
  );
  const told = await receiver.length(5);
  t.deepEqual(told, ['replaced a,b,c', 'synced', 'changed d@8', 'changed a@9', 'deleted b']);
  t.deepEqual(asked, ['list 2', 'list 2 from token', 'watch 7']);
  t.true(watched.isSynced);
  t.is(watched.problem, undefined);
  t.deepEqual(watched.counters, { relists: 0, errors: 0 });
});

test('a watch that ends or is cut is resumed after its last word, bookmarks too, and nothing is told', async (t) => {
  const bookmark = '{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"20"}}}\n';
  const { receiver, asked, watched } = await observe(t, {
    lists: [page('7', ['a'])],
    watches: [
      tell([event('MODIFIED', 'a', '8')], 'cut'),
      tell([bookmark], 'cut'),
      tell([event('MODIFIED', 'a', '21')], 'stay'),
    ],
  });
  t.deepEqual(await receiver.length(4), ['replaced a', 'synced', 'changed a@8', 'changed a@21']);
  t.deepEqual(asked, ['list 500', 'watch 7', 'watch 8', 'watch 20']);
  t.is(watched.counters.relists, 0);
});

test('a version that is gone is listed anew, by status or in the middle of a watch', async (t) => {
  const gone = `${JSON.stringify({ type: 'ERROR', object: { code: 410, message: 'too old' } })}\n`;
  const { receiver, asked, problems, watched } = await observe(t, {
    lists: [page('7', ['a']), page('30', ['b']), page('50', ['c'])],
    watches: [tell([event('MODIFIED', 'a', '8'), gone]), refusal(410), tell([])],
  });
  t.deepEqual(await receiver.length(5), ['replaced a', 'synced', 'changed a@8', 'replaced b', 'replaced c']);
  t.deepEqual(asked.slice(0, 5), ['list 500', 'watch 7', 'list 500', 'watch 30', 'list 500']);
  t.deepEqual(problems, []);
  t.is(watched.counters.relists, 2);
});

test('pages that became too old are read again from the first one', async (t) => {
  const { receiver, asked } = await observe(t, {
    lists: [page('7', ['a'], 'token'), refusal(410), page('9', ['b'])],
    watches: [tell([])],
  });
  t.deepEqual(await receiver.length(2), ['replaced b', 'synced']);
  t.deepEqual(asked, ['list 500', 'list 500 from token', 'list 500', 'watch 9']);
});

test('pages that became too old twice are not read a third time: all is asked for at once', async (t) => {
  const expiring = [page('7', ['a'], 'token'), refusal(410)];
  const { receiver, asked, problems } = await observe(t, {
    lists: [...expiring, ...expiring, page('9', ['b', 'c'])],
    watches: [tell([])],
  });
  t.deepEqual(await receiver.length(2), ['replaced b,c', 'synced']);
  t.deepEqual(asked.slice(-3), ['list 500 from token', 'list all', 'watch 9']);
  t.deepEqual(problems, []);
});

test.serial(
  'a page that is too long is asked for again with fewer objects, and no page before it',
  async (t) => {
    const { receiver, asked, problems } = await observe(t, {
      lists: [page('7', ['a'], 'token'), tooLong, tooLong, page('7', ['b'])],
      watches: [tell([])],
    });
    t.deepEqual(await receiver.length(2), ['replaced a,b', 'synced']);
    t.deepEqual(asked, [
      'list 500',
      'list 500 from token',
      'list 250 from token',
      'list 125 from token',
      'watch 7',
    ]);
    t.deepEqual(problems, []);
  },
);

test.serial(
  'a page that does not come in time is asked for again with fewer objects, the first one after a pause',
  async (t) => {
    const { receiver, asked } = await observe(
      t,
      { lists: [hang, page('7', ['a'], 'token'), hang, refusal(504), page('7', ['b'])], watches: [tell([])] },
      // It holds for the pages that do come, too, and each of them has to come in time.
      { requestTimeoutMs: 1_000 },
    );
    t.deepEqual(await receiver.length(2), ['replaced a,b', 'synced']);
    const pages = [
      'list 500',
      'list 250',
      'list 250 from token',
      'list 125 from token',
      'list 62 from token',
    ];
    t.deepEqual(asked.slice(0, 5), pages);
  },
);

test.serial('an object that is too long by itself is a problem that is told', async (t) => {
  const { asked, problems, watched } = await observe(
    t,
    { lists: [tooLong, tooLong, tooLong], watches: [] },
    { pageSize: 2 },
  );
  await until(
    'a problem of the watch',
    () => watched.problem,
    (problem) => problem !== undefined,
  );
  t.deepEqual(asked.slice(0, 2), ['list 2', 'list 1']);
  t.deepEqual(problems, ['cannot list things: the answer is longer than 33554432 bytes']);
});

test('a line that makes no sense costs its watch, and all is listed', async (t) => {
  const { receiver, problems, watched } = await observe(t, {
    lists: [page('7', ['a']), page('9', ['b']), page('11', ['c'])],
    watches: [tell(['{"type":"ADDED"\n']), tell(['x'.repeat(17 * 1024 * 1024)]), tell([])],
  });
  t.deepEqual(await receiver.length(3), ['replaced a', 'synced', 'replaced b']);
  await receiver.length(4);
  t.regex(String(problems[0]), /^cannot watch things: an event is no JSON/);
  t.regex(String(problems[1]), /^cannot watch things: a line is longer than 16777216 bytes$/);
  t.is(watched.counters.errors, 2);
});

test('an answer that is no list is told and asked for again', async (t) => {
  const answers = ['[]', '{"metadata":{"resourceVersion":"1"},"items":[{}]}', '<html>'];
  const { receiver, problems } = await observe(t, {
    lists: [
      ...answers.map(
        (body): Answer =>
          (response) =>
            response.end(body),
      ),
      page('7', ['a']),
    ],
    watches: [tell([])],
  });
  t.deepEqual(await receiver.length(2), ['replaced a', 'synced']);
  t.is(problems[0], 'cannot list things: the answer is no list of objects');
  t.regex(String(problems[1]), /^cannot list things: the answer is no JSON/);
});

test('silence is ended, and the watch resumed', async (t) => {
  const { receiver, asked, watched } = await observe(
    t,
    { lists: [page('7', ['a'])], watches: [tell([]), tell([]), tell([event('ADDED', 'b', '8')])] },
    { stallMs: 50 },
  );
  t.deepEqual(await receiver.length(3), ['replaced a', 'synced', 'changed b@8']);
  t.deepEqual(asked.slice(0, 4), ['list 500', 'watch 7', 'watch 7', 'watch 7']);
  t.is(watched.counters.errors, 2);
});

test('an API server that takes connections and says nothing is left, too', async (t) => {
  const { receiver, problems } = await observe(
    t,
    // The limit holds for the good answer, too: one that a busy machine gives too late is asked for again.
    { lists: [hang, hang, ...again(page('7', ['a']))], watches: [hang, ...again(tell([]))] },
    { requestTimeoutMs: 100 },
  );
  t.deepEqual(await receiver.length(2), ['replaced a', 'synced']);
  t.is(problems[0], 'cannot list things: no answer within 0.1 s');
});

test('the same problem is said once, and its end is noticed', async (t) => {
  const { receiver, problems, watched } = await observe(t, {
    lists: [refusal(500), refusal(500), refusal(403), page('7', ['a'])],
    watches: [refusal(403), tell([])],
  });
  await receiver.length(2);
  t.deepEqual(problems, [
    'cannot list things: the API server answers 500, no',
    'may not list things: allow list on it in a role that is bound to this user; the API server says: no',
    'may not watch things: allow watch on it in a role that is bound to this user; the API server says: no',
  ]);
  t.is(watched.problem, undefined);
  t.is(watched.counters.errors, 4);
});

test('what may be listed and not watched is not synced', async (t) => {
  const { receiver, watched } = await observe(t, {
    lists: [page('7', ['a'])],
    watches: [refusal(403), refusal(403)],
  });
  await receiver.length(1);
  await until(
    '2 errors',
    () => watched.counters.errors,
    (count) => count >= 2,
  );
  t.false(watched.isSynced);
  t.deepEqual(receiver.told, ['replaced a']);
  t.regex(String(watched.problem), /^may not watch things/);
});

test('after closing nothing is told and no connection is left, whatever was under way', async (t) => {
  const away: Script = { lists: [refusal(503, { 'retry-after': '20' })], watches: [] };
  const watching: Script = { lists: [page('7', ['a'])], watches: [tell([])] };
  const listing: Script = { lists: [page('7', ['a'], 'token')], watches: [] };
  for (const [script, requests] of [
    [away, 1],
    [watching, 2],
    [listing, 2],
  ] as const) {
    const { watched, asked, server, receiver } = await observe(t, script);
    await until(
      `${requests} requests at the API server`,
      () => asked.length,
      (count) => count >= requests,
    );
    watched.close();
    const told = receiver.told.length;
    server.closeIdleConnections();
    await new Promise((resolve) => server.close(resolve));
    t.is(receiver.told.length, told);
  }
});
