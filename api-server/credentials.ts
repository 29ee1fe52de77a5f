import type { Agent } from 'node:https';
import type { TLSSocketOptions } from 'node:tls';

/** Who we are to the API server, and whom we take for it. */
export interface Credentials {
  /** The API server's root, e.g. `https://10.96.0.1:443`. */
  readonly server: string;
  /** Asked before each request. Rejects with a sentence where a file cannot be read or a helper program fails. */
  current(): Promise<Access>;
}

export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: Tls;
  /** Where the way leads over a proxy. */
  readonly agent?: Agent;
}

/** As node:tls has them. */
export interface Tls extends Pick<TLSSocketOptions, 'ca' | 'cert' | 'key' | 'pfx' | 'passphrase'> {
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}
