import { type Certificate, isIssuedBy, isKeyOf, parseCertificates } from './certificate.ts';
import type { Issued } from './issue.ts';

/** What the Secret holds: whom API servers are to trust, who signs, and what the webhook serves. */
export interface Bundle {
  /** The one that signs comes first; the others are trusted still, or trusted already. */
  readonly authorities: readonly [Certificate, ...Certificate[]];
  readonly authorityKey: string;
  readonly server: Issued;
}

export type ReadBundle =
  | { readonly ok: true; readonly bundle: Bundle }
  /** Completes "the Secret is of no use: …". */
  | { readonly ok: false; readonly why: string };

/** `data` of a Secret: by key, in base64. */
export type SecretData = Readonly<Record<string, string>>;

const KEYS = {
  authorities: 'ca.crt',
  authorityKey: 'ca.key',
  server: 'tls.crt',
  serverKey: 'tls.key',
} as const;

/** Certificates that have expired are read all the same: renewing them is another matter. */
export function readBundle(data: SecretData | null | undefined): ReadBundle {
  const missing = Object.values(KEYS).filter((key) => !data?.[key]);
  if (!data || missing.length > 0) return useless(`it has no ${missing.join(', no ')}`);
  try {
    const [signer, ...others] = certificatesIn(data, KEYS.authorities);
    const [certificate] = certificatesIn(data, KEYS.server);
    if (signer === undefined) return useless(`${KEYS.authorities} holds no certificate`);
    if (certificate === undefined) return useless(`${KEYS.server} holds no certificate`);
    return checked({
      authorities: [signer, ...others],
      authorityKey: textOf(data, KEYS.authorityKey),
      server: { certificate, key: textOf(data, KEYS.serverKey) },
    });
  } catch (error) {
    return useless(`a certificate or key in it cannot be read: ${(error as Error).message}`);
  }
}

function checked(bundle: Bundle): ReadBundle {
  const { authorities, authorityKey, server } = bundle;
  if (!authorities.every(({ x509 }) => x509.ca)) {
    return useless(`${KEYS.authorities} holds a certificate that is no authority's`);
  }
  if (!isKeyOf(authorityKey, authorities[0])) {
    return useless(`${KEYS.authorityKey} is not the key of the first certificate in ${KEYS.authorities}`);
  }
  if (!isKeyOf(server.key, server.certificate)) {
    return useless(`${KEYS.serverKey} is not the key of the certificate in ${KEYS.server}`);
  }
  return issuerOf(bundle) === undefined
    ? useless(`the certificate in ${KEYS.server} is issued by none of those in ${KEYS.authorities}`)
    : { ok: true, bundle };
}

/** Which of the authorities issued what is served. */
export function issuerOf({ authorities, server }: Bundle): Certificate | undefined {
  return authorities.find((authority) => isIssuedBy(server.certificate, authority));
}

/** What API servers are told to trust, in PEM. */
export function trustedBy({ authorities }: Bundle): string {
  return authorities.map(({ pem }) => pem).join('');
}

export function secretData(bundle: Bundle): SecretData {
  return {
    [KEYS.authorities]: encoded(trustedBy(bundle)),
    [KEYS.authorityKey]: encoded(bundle.authorityKey),
    [KEYS.server]: encoded(bundle.server.certificate.pem),
    [KEYS.serverKey]: encoded(bundle.server.key),
  };
}

function certificatesIn(data: SecretData, key: string): Certificate[] {
  return parseCertificates(textOf(data, key));
}

function textOf(data: SecretData, key: string): string {
  return Buffer.from(data[key] ?? '', 'base64').toString();
}

function encoded(text: string): string {
  return Buffer.from(text).toString('base64');
}

function useless(why: string): ReadBundle {
  return { ok: false, why };
}
