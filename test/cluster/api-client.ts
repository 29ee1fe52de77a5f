import { readFileSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { text } from 'node:stream/consumers';
import { stringify } from 'yaml';

/** How to reach an API server as one user. */
export interface Access {
  readonly url: string;
  /** Path of the PEM file with the authority that signed the server's certificate. */
  readonly certificateAuthority: string;
  readonly token: string;
}

export interface Answer {
  readonly status: number;
  /** The parsed JSON, or the text where the answer is none. */
  readonly body: unknown;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
}

/** One request on a connection of its own. Every status resolves; only the network rejects. */
export async function call(access: Access, { method, path, body, contentType }: Call): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpsRequest(new URL(path, access.url), {
    method,
    ca: readFileSync(access.certificateAuthority),
    agent: false,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${access.token}`,
      ...(body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }),
    },
  });
  request.on('error', reject);
  request.on('response', (response) => {
    const json = response.headers['content-type']?.startsWith('application/json') ?? false;
    const parsed = text(response).then((answer): unknown => (json ? JSON.parse(answer) : answer));
    resolve(parsed.then((answered) => ({ status: response.statusCode!, body: answered })));
  });
  request.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

/** As call(), but any answer that is not 2xx rejects with the server's own message. Resolves with the body. */
export async function mustCall(access: Access, request: Call): Promise<unknown> {
  const { status, body } = await call(access, request);
  if (status < 300) return body;
  const message = (body as { message?: string }).message ?? String(body);
  throw new Error(`${request.method} ${request.path}: ${status} ${message}`);
}

export interface Kubeconfig extends Access {
  /** Where it is written. */
  readonly path: string;
  readonly user: string;
  readonly namespace?: string;
}

export function writeKubeconfig({
  path,
  url,
  certificateAuthority,
  token,
  user,
  namespace,
}: Kubeconfig): void {
  const name = 'cortexflow-test';
  const authority = readFileSync(certificateAuthority).toString('base64');
  const document = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    contexts: [{ name, context: { cluster: name, user, ...(namespace && { namespace }) } }],
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': authority } }],
    users: [{ name: user, user: { token } }],
  };
  writeFileSync(path, stringify(document), { mode: 0o600 });
}
