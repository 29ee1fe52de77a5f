import type { Server } from 'node:tls';
import { type Certificate, parseCertificates } from './certificate.ts';

/** A certificate, with those that vouch for it if it needs them, and its key, in PEM. */
export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** What the webhook's server shows of itself. It changes for new connections alone: no open one is disturbed. */
export class ServedCertificate {
  readonly #server: Pick<Server, 'setSecureContext'>;
  #certificate: Certificate | undefined;

  constructor(server: Pick<Server, 'setSecureContext'>) {
    this.#server = server;
  }

  get isThere(): boolean {
    return this.#certificate !== undefined;
  }

  /** Until when it is valid, in seconds since 1970; undefined while there is none. */
  get expirySeconds(): number | undefined {
    return this.#certificate === undefined ? undefined : this.#certificate.until / 1000;
  }

  /** Throws what is wrong with a pair that cannot be served; what was served before stays then. */
  serve({ certificate, key }: Pair): void {
    const [first] = parseCertificates(certificate);
    if (first === undefined) throw new Error('there is no certificate in it');
    this.#server.setSecureContext({ cert: certificate, key });
    this.#certificate = first;
  }
}
