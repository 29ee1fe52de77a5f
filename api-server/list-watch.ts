import type { Logger } from '../process/log.ts';
import { ApiError, type ApiServer, type KubernetesObject } from './api-server.ts';
import { explain, resourceOf, type Verb } from './explain.ts';
import { list } from './list.ts';
import { PageSize } from './page-size.ts';
import { advanced, BEGINNING, delayMs, type Ending, isExpected, next, type Step } from './progress.ts';
import { watch, type WatchEvent } from './watch.ts';
import { REAL_WORLD, type World } from './world.ts';

/** What becomes known of the objects of one kind. Nothing is ever told just because the API server is away. */
export interface ListWatchReceiver {
  /** All objects there are, at the start and whenever a watch could not be resumed: what is not among them is gone. */
  replaced(objects: readonly KubernetesObject[]): void;
  /** Added or modified. */
  changed(object: KubernetesObject): void;
  deleted(object: KubernetesObject): void;
  /** Once: all objects have been told, and the watch for what changes has begun. */
  synced?(): void;
}

export interface ListWatchOptions {
  readonly api: Pick<ApiServer, 'request' | 'lines'>;
  /** The collection, e.g. `/apis/discovery.k8s.io/v1/endpointslices`. */
  readonly path: string;
  readonly query?: { readonly labelSelector?: string; readonly fieldSelector?: string };
  /** Asks for the objects' metadata alone: everything else is left out by the API server. */
  readonly metadataOnly?: boolean;
  /** What of an object is kept, at once, so that no more than a page of whole objects is ever held. */
  readonly strip?: (object: KubernetesObject) => KubernetesObject;
  readonly receiver: ListWatchReceiver;
  readonly logger: Logger;
  readonly world?: World;
  readonly limits?: Partial<ListWatchLimits>;
}

export interface ListWatchLimits {
  /** Objects in one answer to a list; fewer where that is too much. */
  readonly pageSize: number;
  /** For one page, and for a watch to be accepted. */
  readonly requestTimeoutMs: number;
  /**
   * How long a watch lasts before the API server ends it, and half as long again by chance. A kind in which
   * nothing happens may get no bookmarks: then this end is what tells a living API server from a dead connection.
   */
  readonly watchMs: number;
  /** A watch is left when nothing is heard for so long. More than the longest watch. */
  readonly stallMs: number;
}

export interface ListWatch {
  /** Whether all objects have been told, and the watch for what changes had begun. */
  readonly isSynced: boolean;
  /** What stands in the way just now, as a sentence without a subject: `may not list services: …`. */
  readonly problem: string | undefined;
  readonly counters: Readonly<ListWatchCounters>;
  /** Milliseconds since the API server was last heard of this kind. */
  stalenessMs(): number;
  /** Nothing is told any more, and nothing is left open. */
  close(): void;
}

export interface ListWatchCounters {
  /** Lists that were read to their end after the first one. */
  relists: number;
  /** Lists and watches that failed, stalled or were refused. */
  errors: number;
}

export const DEFAULT_LIMITS: ListWatchLimits = {
  pageSize: 500,
  requestTimeoutMs: 30_000,
  watchMs: 60_000,
  stallMs: 105_000,
};

const MOST_EXPIRED_LISTS = 2;

/** Lists all objects of one kind and follows their changes, whatever happens to the API server, until it is closed. */
export function listWatch(options: ListWatchOptions): ListWatch {
  const observation = new Observation(options);
  void observation.run();
  return observation;
}

class Observation implements ListWatch {
  readonly counters: ListWatchCounters = { relists: 0, errors: 0 };
  readonly #options: ListWatchOptions;
  readonly #world: World;
  readonly #limits: ListWatchLimits;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  #progress = BEGINNING;
  #lastHeard: number;
  #hasListed = false;
  readonly #pageSize: PageSize;
  /** Lists in a row whose pages became too old before the last one. */
  #expiredLists = 0;
  #openSince: number | undefined;
  #isSynced = false;
  #problem: string | undefined;
  #wake: () => void = () => {};

  constructor(options: ListWatchOptions) {
    this.#options = options;
    this.#world = options.world ?? REAL_WORLD;
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    this.#pageSize = new PageSize(this.#limits.pageSize);
    this.#logger = options.logger.with({ resource: resourceOf(options.path) });
    this.#lastHeard = this.#world.now();
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  stalenessMs(): number {
    return this.#world.now() - this.#lastHeard;
  }

  close(): void {
    this.#closing.abort();
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#isClosed) {
      const { step } = this.#progress;
      const ending = await this.#perform(step);
      if (this.#isClosed) return;
      this.#progress = next(this.#progress, ending);
      const pauseMs = delayMs(this.#progress, ending, this.#world.random());
      if (ending.outcome === 'failed') this.#report(step.do, ending.error, pauseMs);
      if (pauseMs > 0) await this.#pause(pauseMs);
    }
  }

  async #perform(step: Step): Promise<Ending> {
    this.#openSince = undefined;
    try {
      if (step.do === 'list') return { outcome: 'listed', resourceVersion: await this.#list() };
      await this.#watch(step.resourceVersion);
      return { outcome: 'ended', openMs: this.#openMs };
    } catch (error) {
      return { outcome: 'failed', openMs: this.#openMs, error };
    }
  }

  get #openMs(): number {
    return this.#openSince === undefined ? 0 : this.#world.now() - this.#openSince;
  }

  async #list(): Promise<string> {
    const { strip = (object) => object, receiver } = this.#options;
    // What twice took longer than etcd keeps a version will do so again, page by page.
    const isWhole = this.#expiredLists >= MOST_EXPIRED_LISTS;
    const { objects, resourceVersion } = await list({
      ...this.#request,
      pageSize: isWhole ? undefined : this.#pageSize,
      strip,
      onPage: () => this.#heard(),
    }).catch((error: unknown) => {
      this.#expiredLists = !isWhole && isExpected(error) ? this.#expiredLists + 1 : 0;
      throw error;
    });
    this.#expiredLists = 0;
    if (this.#isClosed) return resourceVersion;
    receiver.replaced(objects);
    if (this.#hasListed) this.counters.relists += 1;
    this.#hasListed = true;
    return resourceVersion;
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { watchMs, stallMs } = this.#limits;
    await watch({
      ...this.#request,
      resourceVersion,
      lengthMs: watchMs * (1 + this.#world.random() / 2),
      stallMs,
      world: this.#world,
      onAccepted: () => this.#accepted(),
      onEvent: (event) => this.#take(event),
    });
  }

  get #request() {
    const { api, path, query = {}, metadataOnly = false } = this.#options;
    const { requestTimeoutMs: timeoutMs } = this.#limits;
    return { api, path, query, metadataOnly, timeoutMs, signal: this.#closing.signal };
  }

  #take({ type, object, resourceVersion }: WatchEvent): void {
    if (this.#isClosed) return;
    this.#heard();
    const { strip = (whole) => whole, receiver } = this.#options;
    if (type === 'changed') receiver.changed(strip(object));
    else if (type === 'deleted') receiver.deleted(strip(object));
    this.#progress = advanced(resourceVersion);
  }

  #accepted(): void {
    this.#heard();
    this.#openSince = this.#world.now();
    if (this.#problem !== undefined) this.#logger.info('The API server can be followed again');
    this.#problem = undefined;
    if (this.#isSynced || this.#isClosed) return;
    this.#isSynced = true;
    this.#options.receiver.synced?.();
  }

  #heard(): void {
    this.#lastHeard = this.#world.now();
  }

  /** Said once however often it happens. */
  #report(verb: Verb, error: unknown, retryMs: number): void {
    if (isExpected(error)) {
      this.#logger.debug('The API server does not have that version any more: all is listed again');
      return;
    }
    this.counters.errors += 1;
    const problem = explain(error, verb, this.#options.path);
    const fields = { problem, retryMs: Math.round(retryMs) };
    // Connections are cut every day; that one cannot be had is news.
    const isPassing = this.#progress.failures === 1 && !(error instanceof ApiError);
    if (isPassing || problem === this.#problem) {
      this.#logger.debug('Cannot follow the API server just now', fields);
      return;
    }
    this.#problem = problem;
    this.#logger.warn('Cannot follow the API server; what is known of it stays', fields);
  }

  async #pause(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#world.schedule(milliseconds, resolve);
    this.#wake = () => {
      cancel();
      resolve();
    };
    await promise;
  }

  get #isClosed(): boolean {
    return this.#closing.signal.aborted;
  }
}
