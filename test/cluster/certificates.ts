// oxlint-disable-next-line import/no-unassigned-import -- @peculiar/x509 needs it loaded before itself
import 'reflect-metadata';
import { generateKeyPairSync, type webcrypto } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const LIFETIME_MS = 365 * 24 * 3_600_000;
/** Programs whose clocks differ a little, or that start within the same second, still find it valid. */
const BACKDATED_MS = 3_600_000;

/** Paths of PEM files. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  readonly commonName: string;
  /** Kubernetes reads a client's groups from here. */
  readonly organizations?: readonly string[];
  /** DNS names and IP addresses that a server is called by. */
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** A certificate authority of its own for each cluster; its key never leaves the process. */
export class Authority {
  readonly certificatePath: string;
  readonly certificatePem: string;
  readonly #directory: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;

  private constructor(directory: string, certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#directory = directory;
    this.#certificate = certificate;
    this.#keys = keys;
    this.certificatePem = certificate.toString('pem');
    this.certificatePath = join(directory, 'ca.crt');
    writeFileSync(this.certificatePath, this.certificatePem);
  }

  /** @param directory that all its files are written to; made when it is not there */
  static async create(directory: string): Promise<Authority> {
    mkdirSync(directory, { recursive: true });
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=cortexflow-test-cluster',
      ...validity(),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(directory, certificate, keys);
  }

  /** Writes `<file>.crt` and `<file>.key`, for a server and a client alike. */
  async issue(file: string, subject: Subject): Promise<Certificate> {
    const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: [{ O: [...(subject.organizations ?? [])] }, { CN: [subject.commonName] }],
      issuer: this.#certificate.subject,
      ...validity(),
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        ...alternativeNames(subject),
      ],
    });
    const paths = {
      certificate: join(this.#directory, `${file}.crt`),
      key: join(this.#directory, `${file}.key`),
    };
    writeFileSync(paths.certificate, certificate.toString('pem'));
    const key = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
    writeFileSync(paths.key, x509.PemConverter.encode(key, 'PRIVATE KEY'), { mode: 0o600 });
    return paths;
  }
}

export interface ServiceAccountKeys {
  readonly publicKey: string;
  readonly privateKey: string;
}

/** The pair that ServiceAccount tokens are signed and checked with; returns the paths of the PEM files. */
export function writeServiceAccountKeys(directory: string): ServiceAccountKeys {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const paths = {
    publicKey: join(directory, 'service-accounts.pub'),
    privateKey: join(directory, 'service-accounts.key'),
  };
  writeFileSync(paths.publicKey, publicKey);
  writeFileSync(paths.privateKey, privateKey, { mode: 0o600 });
  return paths;
}

function validity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - BACKDATED_MS), notAfter: new Date(Date.now() + LIFETIME_MS) };
}

function alternativeNames({ dnsNames = [], ipAddresses = [] }: Subject): x509.Extension[] {
  const names = [
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ipAddresses.map((value) => ({ type: 'ip' as const, value })),
  ];
  return names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)];
}
