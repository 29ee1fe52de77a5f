import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { StartupError } from '../process/listen.ts';
import type { Access, Credentials } from './credentials.ts';

export const SERVICE_ACCOUNT_DIRECTORY = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The credentials that the kubelet puts into a pod. Its files are read for every request: the token is renewed
 * about hourly (KEP-1205) and the CA may be, and there are only a few requests a minute.
 */
export function serviceAccount(
  lookup: (name: string) => string | undefined,
  directory: string,
): Credentials | undefined {
  const host = lookup('KUBERNETES_SERVICE_HOST');
  if (!host) return undefined;
  const port = lookup('KUBERNETES_SERVICE_PORT') || '443';
  return {
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    current: async () => readAccess(directory),
  };
}

async function readAccess(directory: string): Promise<Access> {
  const [token, ca] = await Promise.all([read(directory, 'token'), read(directory, 'ca.crt')]);
  return { headers: { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
}

async function read(directory: string, name: string): Promise<string> {
  try {
    return await readFile(join(directory, name), 'utf8');
  } catch (error) {
    throw new StartupError(
      `Cannot read ${join(directory, name)}, by which a pod is known to the API server (${(error as Error).message}): ` +
        'let its ServiceAccount be mounted (automountServiceAccountToken), or name a kubeconfig in KUBECONFIG',
      { cause: error },
    );
  }
}
