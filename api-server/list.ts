import { type ApiServer, GarbledError, type KubernetesObject, type Query } from './api-server.ts';
import { isNamed, versionOf } from './object.ts';

export interface ListRequest {
  readonly api: Pick<ApiServer, 'request'>;
  readonly path: string;
  readonly query: Query;
  readonly metadataOnly: boolean;
  readonly pageSize: number;
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

/**
 * All objects as they are together at one moment, page by page. No resourceVersion is asked for, which means the
 * newest: an older one, as any API server's cache may have it, could bring back what is gone. The pages after the
 * first are of the same moment; where that has become too old meanwhile the API server says 410, and whoever
 * asked begins again. Rejects with a GarbledError, an ApiError or what happened on the way.
 */
export async function list(request: ListRequest): Promise<Listed> {
  const { api, path, query, pageSize, timeoutMs, strip, onPage, signal } = request;
  const accept = request.metadataOnly ? METADATA_ONLY : 'application/json';
  const objects: KubernetesObject[] = [];
  let from: string | undefined;
  for (;;) {
    const asked = { ...query, limit: String(pageSize), continue: from };
    const page = pageOf(await api.request({ method: 'GET', path, query: asked, accept, timeoutMs, signal }));
    onPage();
    for (const item of page.items) objects.push(strip(item));
    if (!page.continue) return { objects, resourceVersion: page.resourceVersion };
    from = page.continue;
  }
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
