import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate as it stands in a file or a Secret. */
export interface Certificate {
  readonly pem: string;
  readonly x509: X509Certificate;
  /** Valid from and until, in milliseconds since 1970. */
  readonly from: number;
  readonly until: number;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/gu;

/** All certificates in a text of PEM blocks, and what is around them left out. Throws what OpenSSL says of a broken one. */
export function parseCertificates(text: string): Certificate[] {
  return (text.match(BLOCK) ?? []).map((block) => certificateOf(new X509Certificate(block)));
}

function certificateOf(x509: X509Certificate): Certificate {
  return {
    pem: x509.toString(),
    x509,
    from: x509.validFromDate.getTime(),
    until: x509.validToDate.getTime(),
  };
}

/** Whether the private key, in PEM, is that of the certificate. Throws where it is no key. */
export function isKeyOf(key: string, { x509 }: Certificate): boolean {
  return x509.checkPrivateKey(createPrivateKey(key));
}

export function isIssuedBy({ x509 }: Certificate, issuer: Certificate): boolean {
  return x509.checkIssued(issuer.x509) && x509.verify(issuer.x509.publicKey);
}

/** Whether a client that asks for this host takes the certificate for its. */
export function isFor({ x509 }: Certificate, host: string): boolean {
  return (isIP(host) === 0 ? x509.checkHost(host) : x509.checkIP(host)) !== undefined;
}

export function sameCertificate(a: Certificate, b: Certificate): boolean {
  return a.x509.fingerprint256 === b.x509.fingerprint256;
}
