import { ApiError, type ApiServer, type KubernetesObject } from '../api-server/api-server.ts';
import { type ListWatch, listWatch } from '../api-server/list-watch.ts';
import type { Logger } from '../process/log.ts';
import { schedule } from '../process/schedule.ts';
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
/** Nor in a second. */
const MOST_ASKED_PER_SECOND = 100;
/** How many different ones reviews wait for the watch to tell of. */
const MOST_WAITED_FOR = 1_024;
/** How long one that does not exist is not asked for again. */
const MISSING_MS = 1_000;

/** RFC 1123. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u;

export function watchNamespaces({ api, logger, synced }: NamespacesOptions): Namespaces {
  const known = new Map<string, Namespace>();
  const arrivals = new Arrivals();
  const keep = (object: KubernetesObject): void => {
    const namespace = namespaceOf(object);
    known.set(namespace.name, namespace);
    arrivals.tell(namespace);
  };
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
  const asker = new Asker(api, logger);
  const findUnknown = async (name: string): Promise<Namespace | undefined> => {
    if (!NAME.test(name)) return undefined;
    // Where made-up names keep it from being asked for, the watch still tells of one that exists.
    return asker.ask(name) ?? arrivals.wait(name, ASK_TIMEOUT_MS);
  };
  return { watch, find: (name) => known.get(name) ?? findUnknown(name) };
}

/** Namespaces that somebody waits for, until the watch tells of them. */
class Arrivals {
  readonly #waiting = new Map<string, PromiseWithResolvers<Namespace | undefined>>();

  tell(namespace: Namespace): void {
    this.#waiting.get(namespace.name)?.resolve(namespace);
  }

  /** Undefined: it was not told of in time. */
  wait(name: string, milliseconds: number): Promise<Namespace | undefined> {
    const already = this.#waiting.get(name);
    if (already !== undefined) return already.promise;
    if (this.#waiting.size >= MOST_WAITED_FOR) return Promise.resolve(undefined);
    const waiting = Promise.withResolvers<Namespace | undefined>();
    this.#waiting.set(name, waiting);
    const cancel = schedule(milliseconds, () => waiting.resolve(undefined));
    return waiting.promise.finally(() => {
      cancel();
      this.#waiting.delete(name);
    });
  }
}

/** Asks the API server for single Namespaces, and for those that do not exist not again at once. */
class Asker {
  readonly #api: ApiServer;
  readonly #logger: Logger;
  readonly #asked = new Map<string, Promise<Namespace | undefined>>();
  /** What did not exist a moment ago. */
  readonly #missing = new Set<string>();
  #second = 0;
  #askedInSecond = 0;

  constructor(api: ApiServer, logger: Logger) {
    this.#api = api;
    this.#logger = logger;
  }

  /** Undefined: it is not to be asked for just now. */
  ask(name: string): Promise<Namespace | undefined> | undefined {
    const already = this.#asked.get(name);
    if (already !== undefined) return already;
    if (this.#missing.has(name) || !this.#mayAsk()) return undefined;
    const answer = this.#read(name).finally(() => this.#asked.delete(name));
    this.#asked.set(name, answer);
    return answer;
  }

  #mayAsk(): boolean {
    const second = Math.floor(performance.now() / 1_000);
    if (second !== this.#second) this.#askedInSecond = 0;
    this.#second = second;
    if (this.#asked.size >= MOST_ASKED || this.#askedInSecond >= MOST_ASKED_PER_SECOND) return false;
    this.#askedInSecond += 1;
    return true;
  }

  async #read(name: string): Promise<Namespace | undefined> {
    try {
      const path = `${PATH}/${name}`;
      const object = await this.#api.request({ method: 'GET', path, timeoutMs: ASK_TIMEOUT_MS });
      return namespaceOf(object as KubernetesObject);
    } catch (error) {
      const isMissing = error instanceof ApiError && error.status === 404;
      if (isMissing) this.#forgetLater(name);
      // Anybody who reaches the port may make names up: those are not worth a line each.
      this.#logger[isMissing ? 'debug' : 'warn']('A namespace could not be read', { namespace: name, error });
      return undefined;
    }
  }

  #forgetLater(name: string): void {
    this.#missing.add(name);
    schedule(MISSING_MS, () => this.#missing.delete(name));
  }
}

function namespaceOf({ metadata: { name, labels, annotations } }: KubernetesObject): Namespace {
  return { name, labels: labels ?? null, annotations: annotations ?? null };
}
