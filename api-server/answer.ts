import { ApiError, GarbledError } from './api-server.ts';

const LONGEST_SHOWN = 300;

/** Undefined for an empty answer. Throws a GarbledError where it is no JSON. */
export function jsonOf(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GarbledError(`the answer is no JSON (${(error as Error).message}): ${shown(text)}`, {
      cause: error,
    });
  }
}

/** What an answer that says no means. `text` is a Kubernetes Status object, or a proxy's or a webhook's own words. */
export function refusalOf(status: number, retryAfter: string | undefined, text: string): ApiError {
  const object = statusObject(text);
  const seconds = Number(retryAfter ?? object.details?.retryAfterSeconds ?? Number.NaN);
  return new ApiError({
    status,
    reason: object.reason ?? '',
    message: object.message || shown(text) || `HTTP status ${status}`,
    retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
  });
}

/** The refusal in a `meta/v1 Status` that a watch ended with. */
export function refusalInWatch(object: unknown): ApiError {
  const { code, reason, message, details } = (object ?? {}) as Status;
  const seconds = details?.retryAfterSeconds;
  return new ApiError({
    status: code ?? 0,
    reason: reason ?? '',
    message: message || shown(JSON.stringify(object) ?? ''),
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}

/** `meta/v1 Status`. */
interface Status {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

function statusObject(text: string): Status {
  try {
    const object: unknown = JSON.parse(text);
    return typeof object === 'object' && object !== null ? object : {};
  } catch {
    return {};
  }
}

/** On one line, and short. */
function shown(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= LONGEST_SHOWN ? line : `${line.slice(0, LONGEST_SHOWN)}…`;
}
