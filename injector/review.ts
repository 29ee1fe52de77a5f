import { excerpt } from './options/excerpt.ts';
import { type Pod, readPod } from './pod.ts';

const API_VERSION = 'admission.k8s.io/v1';

/** A body of `POST /mutate`, understood. */
export type Review =
  | { readonly kind: 'pod'; readonly uid: string; readonly namespace: string; readonly pod: Pod }
  /** Well-formed, and not about a pod that is to be made: allowed as it is. `why` completes "not injected: …". */
  | { readonly kind: 'other'; readonly uid: string; readonly why: string }
  /** A sentence for whoever sent it. */
  | { readonly kind: 'malformed'; readonly sentence: string };

/** What is answered to a review. */
export type Verdict =
  /** The patch is a JSON Patch in base64. */
  | { readonly outcome: 'injected'; readonly patch: string; readonly warnings: readonly string[] }
  | { readonly outcome: 'skipped'; readonly reason: string; readonly warnings: readonly string[] }
  | { readonly outcome: 'rejected'; readonly message: string };

/** Reads an `AdmissionReview` of `admission.k8s.io/v1` as an API server sends it. Never throws. */
export function readReview(body: string): Review {
  let review: unknown;
  try {
    review = JSON.parse(body);
  } catch (error) {
    return malformed(`the body is no JSON: ${(error as Error).message}`);
  }
  if (!isObject(review) || review['kind'] !== 'AdmissionReview') {
    return malformed(
      `the body is no AdmissionReview: its kind is ${shown(isObject(review) && review['kind'])}`,
    );
  }
  if (review['apiVersion'] !== API_VERSION) {
    return malformed(
      `the AdmissionReview is of ${shown(review['apiVersion'])}: this webhook speaks ${API_VERSION}; set ` +
        'admissionReviewVersions: ["v1"]',
    );
  }
  return isObject(review['request'])
    ? readRequest(review['request'])
    : malformed('the AdmissionReview has no request');
}

function readRequest(request: Fields): Review {
  const { uid, kind, operation } = request;
  if (typeof uid !== 'string' || uid === '') return malformed('request.uid is no text');
  if (!isObject(kind) || kind['kind'] !== 'Pod' || (kind['group'] ?? '') !== '') {
    return malformed(
      `request.kind is ${shownKind(kind)}: this webhook reviews pods alone; set resources: ["pods"] in its rules`,
    );
  }
  if (operation !== 'CREATE' || (request['subResource'] ?? '') !== '') {
    const why = `only pods that are created are injected, and this is ${shown(operation)}`;
    return { kind: 'other', uid, why };
  }
  return readCreation(uid, request);
}

function readCreation(uid: string, { namespace, object }: Fields): Review {
  if (typeof namespace !== 'string' || namespace === '') return malformed('request.namespace is no text');
  const read = readPod(object);
  return read.ok
    ? { kind: 'pod', uid, namespace, pod: read.pod }
    : malformed(`request.object is no pod: ${read.why}`);
}

/** The AdmissionReview that answers, as JSON. What it says is told to people by kubectl and by the audit log. */
export function reviewAnswer(uid: string, verdict: Verdict): string {
  return JSON.stringify({
    apiVersion: API_VERSION,
    kind: 'AdmissionReview',
    response: response(uid, verdict),
  });
}

function response(uid: string, verdict: Verdict): object {
  const { outcome } = verdict;
  if (outcome === 'rejected') {
    const message = oneLine(verdict.message);
    return {
      uid,
      allowed: false,
      status: { status: 'Failure', code: 400, reason: 'BadRequest', message },
      auditAnnotations: { outcome, reason: message },
    };
  }
  const warnings = verdict.warnings.length > 0 ? { warnings: verdict.warnings.map(oneLine) } : {};
  return outcome === 'injected'
    ? {
        uid,
        allowed: true,
        patchType: 'JSONPatch',
        patch: verdict.patch,
        auditAnnotations: { outcome },
        ...warnings,
      }
    : { uid, allowed: true, auditAnnotations: { outcome, reason: oneLine(verdict.reason) }, ...warnings };
}

/** Pods are reviewed before they are validated: names in them may hold anything still. */
function oneLine(sentence: string): string {
  return sentence.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, ' ');
}

type Fields = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === undefined || value === false) return 'missing';
  if (typeof value === 'string') return excerpt(value);
  if (Array.isArray(value)) return 'a list';
  return isObject(value) ? 'an object' : JSON.stringify(value);
}

/** Without what else may be in it, which may be long. */
function shownKind(value: unknown): string {
  if (!isObject(value)) return shown(value);
  const { group, version, kind } = value;
  return excerpt([group, version, kind].filter((part) => typeof part === 'string').join('/'));
}

function malformed(sentence: string): Review {
  return { kind: 'malformed', sentence };
}
