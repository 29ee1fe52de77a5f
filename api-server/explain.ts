import { ApiError } from './api-server.ts';

export type Verb = 'list' | 'watch';

/** Codes of node:tls for a certificate that is not taken; others begin with `CERT_` or `ERR_TLS_`. */
const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** Why a list or watch failed and what to do, as a sentence without its subject, which is this program. */
export function explain(error: unknown, verb: Verb, path: string): string {
  const resource = resourceOf(path);
  if (error instanceof ApiError) return explainRefusal(error, verb, resource);
  const { message, code = '' } = error as NodeJS.ErrnoException;
  if (UNTRUSTED.has(code) || /^(CERT_|ERR_TLS_)/.test(code)) {
    return `does not trust the API server's certificate (${message}): is it asked for by the right name, with the right CA?`;
  }
  // Node calls an answer that breaks off "aborted", which sounds as if we had done it.
  const what = code === 'ECONNRESET' ? 'the connection was cut' : message || code;
  return `cannot ${verb} ${resource}: ${what}`;
}

function explainRefusal({ status, message }: ApiError, verb: Verb, resource: string): string {
  if (status === 401) {
    return `is not known to the API server (${message}): its token or certificate is not valid there, or not any more; they are read again for each try`;
  }
  if (status === 403) {
    return `may not ${verb} ${resource}: allow ${verb} on it in a role that is bound to this user; the API server says: ${message}`;
  }
  if (status === 404) {
    return `cannot ${verb} ${resource}: the API server has no such kind; is it installed, in this version?`;
  }
  return `cannot ${verb} ${resource}: the API server answers ${status}, ${message}`;
}

/** `endpointslices.discovery.k8s.io`, `services`, `secrets in namespace cortexflow`. */
export function resourceOf(path: string): string {
  const { group, namespace, resource } =
    /^\/(?:api|apis\/(?<group>[^/]+))\/[^/]+(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<resource>[^/]+)$/.exec(
      path,
    )?.groups ?? {};
  if (resource === undefined) return path;
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`;
  return `${resource}${group === undefined ? '' : `.${group}`}${where}`;
}
