/** Behind the API server's back: what would take minutes, or cannot be asked for, by its front door. */
import type { TestApiServer } from '../cluster/api-server.ts';
import { etcdUrl } from '../cluster/flags.ts';

/** etcd allows 128 operations in a transaction. */
const MOST_PUTS = 128;

/** Drops all versions but the newest, as the API server does every five minutes. */
export async function compact(server: TestApiServer): Promise<void> {
  const { header } = await post(server, 'range', { key: base64('/') });
  await post(server, 'compaction', { revision: header.revision, physical: true });
}

/**
 * Stores whole objects, by where the API server keeps them: `configmaps/default/a`, `services/specs/default/a`.
 * It is never asked for its opinion of them.
 */
export async function put(server: TestApiServer, objects: ReadonlyMap<string, unknown>): Promise<void> {
  const puts = [...objects].map(([path, object]) => ({
    requestPut: { key: base64(`/registry/${path}`), value: base64(JSON.stringify(object)) },
  }));
  for (let begin = 0; begin < puts.length; begin += MOST_PUTS) {
    await post(server, 'txn', { success: puts.slice(begin, begin + MOST_PUTS) });
  }
}

export async function remove(server: TestApiServer, path: string): Promise<void> {
  await post(server, 'deleterange', { key: base64(`/registry/${path}`) });
}

/** By etcd's JSON gateway. */
async function post(
  server: TestApiServer,
  call: string,
  body: unknown,
): Promise<{ readonly header: { readonly revision: string } }> {
  const url = `${etcdUrl(new URL(server.url).hostname)}/v3/kv/${call}`;
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`etcd's ${call}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as { header: { revision: string } };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
