/** A Kubernetes API server: JSON over HTTPS, with no model of what the objects mean. */
export interface ApiServer {
  /** For messages, e.g. `https://10.96.0.1:443`. */
  readonly address: string;
  /**
   * The answer's JSON; undefined where there is none. Rejects with an ApiError for what the API server refuses,
   * and with a plain Error for what happens on the way to it.
   */
  request(request: ApiRequest): Promise<unknown>;
  /**
   * Resolves once a watch is accepted, with its lines until the API server ends it. Rejects, and its lines
   * throw, as `request` does, and an AbortError once the signal is aborted.
   */
  lines(request: LinesRequest): Promise<AsyncIterable<string>>;
  /** Ends everything that is under way; nothing is left open. */
  close(): void;
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the API server's root, e.g. `/api/v1/namespaces/cortexflow/secrets`. */
  readonly path: string;
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body. Default `application/json`; a PATCH has to say which kind of patch it is. */
  readonly contentType?: string;
  /** Default `application/json`. */
  readonly accept?: string;
  /** For the whole answer. Default 30 s. */
  readonly timeoutMs?: number;
  /** How long the answer may be. Default 32 MiB. */
  readonly mostBytes?: number;
  readonly signal?: AbortSignal;
}

/** Parameters that are undefined are left out. */
export type Query = Readonly<Record<string, string | undefined>>;

export interface LinesRequest {
  readonly path: string;
  readonly query: Query;
  readonly accept?: string;
  /** For the API server to accept the watch. Default 30 s. */
  readonly timeoutMs?: number;
  readonly signal: AbortSignal;
}

/** The API server answered, and what it said is no. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Of HTTP. */
  readonly status: number;
  /** A word for programs, e.g. `Forbidden`, `Expired`, `AlreadyExists`; may be empty. */
  readonly reason: string;
  /** How long the API server asks to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(problem: {
    readonly status: number;
    readonly reason: string;
    readonly message: string;
    readonly retryAfterMs?: number | undefined;
  }) {
    super(problem.message);
    this.status = problem.status;
    this.reason = problem.reason;
    this.retryAfterMs = problem.retryAfterMs;
  }
}

/** The answer was too long, or was not there in time: less of it may be had. */
export class TooMuchError extends Error {
  override readonly name = 'TooMuchError';
  readonly isLate: boolean;

  constructor(message: string, isLate: boolean) {
    super(message);
    this.isLate = isLate;
  }
}

/** What the API server said makes no sense. */
export class GarbledError extends Error {
  override readonly name = 'GarbledError';
}

/** What all Kubernetes objects have, as far as anybody here reads it. */
export interface KubernetesObject {
  readonly metadata: ObjectMetadata;
  readonly [field: string]: unknown;
}

export interface ObjectMetadata {
  readonly name: string;
  /** Absent where the kind has no namespaces. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly resourceVersion?: string;
  readonly [field: string]: unknown;
}
