import { refusalInWatch } from './answer.ts';
import { type ApiServer, GarbledError, type KubernetesObject, type Query } from './api-server.ts';
import { isNamed, versionOf } from './object.ts';
import type { World } from './world.ts';

export interface WatchRequest {
  readonly api: Pick<ApiServer, 'lines'>;
  readonly path: string;
  readonly query: Query;
  readonly metadataOnly: boolean;
  readonly resourceVersion: string;
  /** After which the API server ends it. */
  readonly lengthMs: number;
  /** To be accepted. */
  readonly timeoutMs: number;
  /** Until it is given up when nothing is heard, not even its end: longer than `lengthMs`. */
  readonly stallMs: number;
  readonly world: World;
  readonly onAccepted: () => void;
  readonly onEvent: (event: WatchEvent) => void;
  readonly signal: AbortSignal;
}

export interface WatchEvent {
  readonly type: 'changed' | 'deleted' | 'bookmark';
  readonly object: KubernetesObject;
  /** Everything up to it is known now. */
  readonly resourceVersion: string;
}

const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;q=0.5';

/**
 * Tells what changes, until the API server ends the watch, and resolves then. Rejects with a
 * GarbledError, an ApiError or what happened on the way.
 */
export async function watch(request: WatchRequest): Promise<void> {
  const silence = new Silence(request.world, request.stallMs);
  const signal = AbortSignal.any([request.signal, silence.signal]);
  try {
    const lines = await request.api.lines({
      path: request.path,
      query: {
        ...request.query,
        watch: 'true',
        resourceVersion: request.resourceVersion,
        allowWatchBookmarks: 'true',
        timeoutSeconds: String(Math.ceil(request.lengthMs / 1000)),
      },
      accept: request.metadataOnly ? METADATA_ONLY : 'application/json',
      timeoutMs: request.timeoutMs,
      signal,
    });
    request.onAccepted();
    silence.begin();
    for await (const line of lines) {
      silence.broken();
      request.onEvent(eventOf(line));
    }
  } finally {
    silence.end();
  }
}

const TYPES: Readonly<Record<string, WatchEvent['type']>> = {
  ADDED: 'changed',
  MODIFIED: 'changed',
  DELETED: 'deleted',
  BOOKMARK: 'bookmark',
};

/** The event in one line of a watch (`meta/v1 WatchEvent`). Throws a GarbledError, or the ApiError that an ERROR event tells. */
export function eventOf(line: string): WatchEvent {
  const { type = '', object } = parsed(line);
  if (type === 'ERROR') throw refusalInWatch(object);
  const told = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
  const resourceVersion = versionOf(object);
  // A bookmark has nothing but its version.
  const isWhole = told === 'bookmark' || isNamed(object);
  if (told === undefined || resourceVersion === undefined || !isWhole) {
    throw new GarbledError(`an event makes no sense: ${line.slice(0, 200)}`);
  }
  return { type: told, object: object as KubernetesObject, resourceVersion };
}

function parsed(line: string): { readonly type?: string; readonly object?: unknown } {
  try {
    return (JSON.parse(line) as object | null) ?? {};
  } catch (error) {
    throw new GarbledError(`an event is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Aborts its signal once nothing was heard for so long. */
class Silence {
  readonly #world: World;
  readonly #longestMs: number;
  readonly #controller = new AbortController();
  #since = 0;
  #cancel: () => void = () => {};

  constructor(world: World, longestMs: number) {
    this.#world = world;
    this.#longestMs = longestMs;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  begin(): void {
    this.broken();
    this.#look();
  }

  broken(): void {
    this.#since = this.#world.now();
  }

  end(): void {
    this.#cancel();
  }

  /** One timer however many events there are. */
  #look(): void {
    const left = this.#since + this.#longestMs - this.#world.now();
    if (left > 0) this.#cancel = this.#world.schedule(left, () => this.#look());
    else {
      const seconds = this.#longestMs / 1000;
      this.#controller.abort(new Error(`nothing was heard for ${seconds} s, not even its end`));
    }
  }
}
