import type { ApiServer } from '../../api-server/api-server.ts';
import type { Logger } from '../../process/log.ts';
import { schedule } from '../../process/schedule.ts';
import type { CertificateSource } from '../config.ts';
import { CertificateDirectory } from './directory.ts';
import { OwnCertificates } from './own-certificates.ts';
import { ROTATION_POLICY } from './rotation.ts';
import type { ServedCertificate } from './serving.ts';

export interface CertificatesOptions {
  readonly api: ApiServer;
  readonly served: ServedCertificate;
  readonly logger: Logger;
  /** Once: reviews can arrive. */
  readonly ready: () => void;
}

export interface Certificates {
  /** What is missing until reviews can arrive, as a sentence without a subject; undefined: nothing. */
  readonly obstacle: string | undefined;
  /** How often the caBundle had to be set again. */
  readonly repairs?: number;
  close(): void;
}

/** Provides the webhook with a certificate for as long as it runs. */
export function startCertificates(source: CertificateSource, options: CertificatesOptions): Certificates {
  let isReady = false;
  const progressed = (): void => {
    if (isReady || certificates.obstacle !== undefined) return;
    isReady = true;
    options.ready();
  };
  const certificates: Certificates =
    source.kind === 'directory'
      ? new CertificateDirectory({ ...options, directory: source.directory, schedule, progressed })
      : new OwnCertificates({
          ...options,
          ...source,
          policy: ROTATION_POLICY,
          world: { now: Date.now, random: Math.random, schedule },
          progressed,
        });
  return certificates;
}
