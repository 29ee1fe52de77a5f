import {
  ApiError,
  type ApiServer,
  GarbledError,
  type KubernetesObject,
  type Query,
  TooMuchError,
} from './api-server.ts';
import { isNamed, versionOf } from './object.ts';
import type { PageSize } from './page-size.ts';

export interface ListRequest {
  readonly api: Pick<ApiServer, 'request'>;
  readonly path: string;
  readonly query: Query;
  readonly metadataOnly: boolean;
  /** Undefined: all in one answer, which does not become too old on the way. */
  readonly pageSize: PageSize | undefined;
  /** For one page. */
  readonly timeoutMs: number;
  readonly strip: (object: KubernetesObject) => KubernetesObject;
  /** Called for each page, as a sign of life. */
  readonly onPage: () => void;
  readonly signal: AbortSignal;
}

export interface Listed {
  readonly objects: readonly KubernetesObject[];
  /** What changed after it is what a watch has to tell. */
  readonly resourceVersion: string;
}

const METADATA_ONLY =
  'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;q=0.5';

/** The API server itself ends a request after a minute. */
const WHOLE_TIMEOUT_MS = 60_000;
const MOST_WHOLE_BYTES = 256 * 1024 * 1024;

/**
 * All objects as they are together at one moment, page by page. No resourceVersion is asked for, which means the
 * newest: an older one, as any API server's cache may have it, could bring back what is gone. The pages after the
 * first are of the same moment; where that has become too old meanwhile the API server says 410, and whoever
 * asked begins again. Rejects with a GarbledError, an ApiError or what happened on the way.
 */
export async function list(request: ListRequest): Promise<Listed> {
  const { strip, onPage } = request;
  const objects: KubernetesObject[] = [];
  let from: string | undefined;
  for (;;) {
    const page = await pageFrom(request, from);
    onPage();
    for (const item of page.items) objects.push(strip(item));
    if (!page.continue) return { objects, resourceVersion: page.resourceVersion };
    from = page.continue;
  }
}

/** A page that is too much is asked for again with fewer objects. */
async function pageFrom(request: ListRequest, from: string | undefined): Promise<Page> {
  const { pageSize } = request;
  if (pageSize === undefined) {
    const { timeoutMs } = request;
    const whole = { timeoutMs: Math.max(timeoutMs, WHOLE_TIMEOUT_MS), mostBytes: MOST_WHOLE_BYTES };
    return ask(request, { continue: from }, whole);
  }
  for (;;) {
    try {
      const page = await ask(request, { limit: String(pageSize.current), continue: from });
      pageSize.came();
      return page;
    } catch (error) {
      const canBeLess = isTooMuch(error) && pageSize.wasTooMuch();
      // An API server that has said nothing yet may be away: whoever asked knows how long to wait for it.
      if (!canBeLess || (from === undefined && isLate(error))) throw error;
    }
  }
}

async function ask(
  { api, path, query, metadataOnly, timeoutMs, signal }: ListRequest,
  part: Query,
  bounds: { readonly timeoutMs?: number; readonly mostBytes?: number } = {},
): Promise<Page> {
  const accept = metadataOnly ? METADATA_ONLY : 'application/json';
  const asked = { ...query, ...part };
  return pageOf(
    await api.request({ method: 'GET', path, query: asked, accept, timeoutMs, signal, ...bounds }),
  );
}

function isTooMuch(error: unknown): boolean {
  return error instanceof TooMuchError || isLate(error);
}

/** 504: the API server itself, or etcd behind it, was not done in time. */
function isLate(error: unknown): boolean {
  return error instanceof TooMuchError ? error.isLate : error instanceof ApiError && error.status === 504;
}

interface Page {
  readonly items: readonly KubernetesObject[];
  readonly resourceVersion: string;
  readonly continue: string | undefined;
}

function pageOf(answer: unknown): Page {
  const { items, metadata } = (answer ?? {}) as { items?: unknown; metadata?: { continue?: string } };
  const resourceVersion = versionOf(answer);
  // Go writes an empty list as null where nobody made it one.
  const objects = items ?? [];
  if (resourceVersion === undefined || !Array.isArray(objects) || !objects.every(isNamed)) {
    throw new GarbledError('the answer is no list of objects');
  }
  return { items: objects, resourceVersion, continue: metadata?.continue };
}
