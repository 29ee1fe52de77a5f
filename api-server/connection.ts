import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { StartupError } from '../process/listen.ts';
import type { ApiServer } from './api-server.ts';
import type { Credentials } from './credentials.ts';
import { HttpApiServer } from './http.ts';
import { kubeconfig } from './kubeconfig.ts';
import { SERVICE_ACCOUNT_DIRECTORY, serviceAccount } from './service-account.ts';

export interface ConnectOptions {
  /** Answers undefined where a variable is unset. Default: this process's environment. */
  readonly lookup?: (name: string) => string | undefined;
  /** Where the kubelet puts a pod's token and the API server's CA. */
  readonly serviceAccountDirectory?: string;
  /** How this program is named in the API server's audit log. */
  readonly userAgent?: string;
}

/**
 * The API server that `KUBECONFIG` names, else the one of the cluster that this pod runs in, else the one in
 * `~/.kube/config`. Credentials are looked up for each request, so tokens and certificates may be renewed.
 * Rejects with a StartupError that says what is missing; whether anybody answers is found out later.
 */
export async function connectApiServer(options: ConnectOptions = {}): Promise<ApiServer> {
  const credentials = await findCredentials(options);
  await credentials.current();
  return new HttpApiServer(credentials, options.userAgent ?? 'cortexflow');
}

async function findCredentials(options: ConnectOptions): Promise<Credentials> {
  const { lookup = (name) => process.env[name], serviceAccountDirectory = SERVICE_ACCOUNT_DIRECTORY } =
    options;
  const named = lookup('KUBECONFIG');
  if (named) return kubeconfig(named);
  const inCluster = serviceAccount(lookup, serviceAccountDirectory);
  if (inCluster !== undefined) return inCluster;
  const file = join(lookup('HOME') ?? '/', '.kube', 'config');
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (isThere) return kubeconfig(file);
  throw new StartupError(
    `No Kubernetes API server to talk to: this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set), and there is no ${file}; ` +
      'name a kubeconfig in KUBECONFIG',
  );
}
