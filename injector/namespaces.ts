import { ApiError, type ApiServer, type KubernetesObject } from '../api-server/api-server.ts';
import { type ListWatch, listWatch } from '../api-server/list-watch.ts';
import type { Logger } from '../process/log.ts';
import type { Namespace } from './eligibility.ts';
import type { FindNamespace } from './reviewer.ts';

export interface NamespacesOptions {
  readonly api: ApiServer;
  readonly logger: Logger;
  /** Once: all of them are known. */
  readonly synced: () => void;
}

/** All Namespaces with their labels and annotations, as the API server last told of them. */
export interface Namespaces {
  readonly find: FindNamespace;
  readonly watch: ListWatch;
}

const PATH = '/api/v1/namespaces';

/** A namespace that was made a moment ago is asked for by itself: a review has seconds, and this is one. */
const ASK_TIMEOUT_MS = 1_000;
/** Whoever reaches the webhook may name any namespace: no more than so many are asked for at once. */
const MOST_ASKED = 16;

/** RFC 1123. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u;

export function watchNamespaces({ api, logger, synced }: NamespacesOptions): Namespaces {
  const known = new Map<string, Namespace>();
  const keep = (object: KubernetesObject): void => void known.set(object.metadata.name, namespaceOf(object));
  const watch = listWatch({
    api,
    path: PATH,
    metadataOnly: true,
    logger,
    receiver: {
      replaced: (objects) => {
        known.clear();
        for (const object of objects) keep(object);
      },
      changed: keep,
      deleted: (object) => void known.delete(object.metadata.name),
      synced,
    },
  });
  const ask = namespaceAsker(api, logger);
  return { watch, find: (name) => known.get(name) ?? ask(name) };
}

function namespaceAsker(api: ApiServer, logger: Logger): (name: string) => Promise<Namespace | undefined> {
  const asked = new Map<string, Promise<Namespace | undefined>>();
  return async (name) => {
    if (!NAME.test(name)) return undefined;
    const already = asked.get(name);
    if (already !== undefined) return already;
    if (asked.size >= MOST_ASKED) return undefined;
    const answer = api
      .request({ method: 'GET', path: `${PATH}/${name}`, timeoutMs: ASK_TIMEOUT_MS })
      .then((object) => namespaceOf(object as KubernetesObject))
      .catch((error: Error) => {
        // Anybody who reaches the port may make names up: those are not worth a line each.
        const level = error instanceof ApiError && error.status === 404 ? 'debug' : 'warn';
        logger[level]('A namespace could not be read', { namespace: name, error });
        return undefined;
      })
      .finally(() => asked.delete(name));
    asked.set(name, answer);
    return answer;
  };
}

function namespaceOf({ metadata: { name, labels, annotations } }: KubernetesObject): Namespace {
  return { name, labels: labels ?? null, annotations: annotations ?? null };
}
