import type { RequestOptions } from 'node:https';
import { StartupError } from '../process/listen.ts';
import type { Access, Credentials, Tls } from './credentials.ts';

/**
 * The current context of kubeconfig files, with everything that they may ask for: client certificates, tokens,
 * helper programs, OpenID Connect, proxies. `files` are separated as in `PATH`. The Kubernetes client that reads
 * them is loaded only here: whatever of it is used, it takes 60 MB and most of a second.
 */
export async function kubeconfig(files: string): Promise<Credentials> {
  const { KubeConfig } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  try {
    const [first = '', ...others] = files.split(':').filter((file) => file !== '');
    config.loadFromFile(first);
    for (const file of others) {
      const other = new KubeConfig();
      other.loadFromFile(file);
      config.mergeConfig(other, true);
    }
  } catch (error) {
    throw new StartupError(`Cannot read the kubeconfig ${files}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const cluster = config.getCurrentCluster();
  if (!cluster || !config.getCurrentUser()) {
    throw new StartupError(
      `The kubeconfig ${files} has no cluster or no user for its context "${config.getCurrentContext()}": ` +
        'choose one with kubectl config use-context',
    );
  }
  return {
    server: cluster.server,
    current: async () => {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      return accessOf(options, cluster.proxyUrl !== undefined);
    },
  };
}

/** Its own agents keep no connection alive and the certificate they began with, so only what leads over a proxy uses one. */
function accessOf(options: RequestOptions, isProxied: boolean): Access {
  const { agent, auth, headers = {} } = options;
  const basic = auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {};
  return {
    headers: { ...basic, ...(headers as Record<string, string>) },
    tls: tlsOf(options),
    ...(isProxied && typeof agent === 'object' ? { agent: agent as NonNullable<Access['agent']> } : {}),
  };
}

function tlsOf(options: RequestOptions): Tls {
  const { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized } = options;
  const given = { ca, cert, key, pfx, passphrase, servername, rejectUnauthorized };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
