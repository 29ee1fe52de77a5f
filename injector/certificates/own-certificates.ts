import type { ApiServer } from '../../api-server/api-server.ts';
import type { Logger } from '../../process/log.ts';
import { type Bundle, issuerOf, trustedBy } from './bundle.ts';
import { CertificateKeeper } from './keeper.ts';
import type { ClockWorld } from './reconciler.ts';
import type { RotationPolicy } from './rotation.ts';
import type { ServedCertificate } from './serving.ts';
import { WebhookTrust } from './webhook-trust.ts';

export interface OwnCertificatesOptions {
  readonly api: ApiServer;
  readonly served: ServedCertificate;
  readonly namespace: string;
  readonly secret: string;
  /** Of the MutatingWebhookConfiguration. */
  readonly configuration: string;
  readonly hosts: readonly string[];
  readonly policy: RotationPolicy;
  readonly logger: Logger;
  readonly world: ClockWorld;
  /** The obstacle may be another one now, or none. */
  readonly progressed: () => void;
}

/** For every API server to hear of what one of them was told. */
const PROPAGATION_MS = 5_000;

/**
 * The webhook's certificates where nobody else provides them: kept in a Secret, trusted by way of the
 * MutatingWebhookConfiguration, and served once that is so.
 */
export class OwnCertificates {
  readonly #options: OwnCertificatesOptions;
  readonly #keeper: CertificateKeeper;
  readonly #trust: WebhookTrust;
  /** Not served yet: API servers would not trust it. */
  #waiting: Bundle | undefined;
  #cancel = (): void => {};
  #servedKey: string | undefined;

  constructor(options: OwnCertificatesOptions) {
    this.#options = options;
    this.#trust = new WebhookTrust({
      ...options,
      name: options.configuration,
      changed: () => this.#trustChanged(),
    });
    this.#keeper = new CertificateKeeper({
      ...options,
      trust: this.#trust,
      changed: (bundle) => this.#take(bundle),
    });
  }

  /** What is missing until reviews can arrive, as a sentence without a subject; undefined: nothing. */
  get obstacle(): string | undefined {
    return this.#keeper.obstacle ?? this.#trust.obstacle;
  }

  get repairs(): number {
    return this.#trust.repairs;
  }

  /** Resolves once nothing is being written. */
  async settled(): Promise<void> {
    await this.#keeper.settled();
    await this.#trust.settled();
  }

  close(): void {
    this.#keeper.close();
    this.#trust.close();
    this.#cancel();
  }

  #take(bundle: Bundle): void {
    this.#trust.want(trustedBy(bundle));
    this.#cancel();
    this.#waiting = undefined;
    if (!this.#options.served.isThere || this.#isTrusted(bundle)) this.#serve(bundle);
    else this.#waiting = bundle;
  }

  #trustChanged(): void {
    this.#keeper.trustChanged();
    this.#options.progressed();
    const bundle = this.#waiting;
    if (bundle === undefined || !this.#isTrusted(bundle)) return;
    this.#waiting = undefined;
    this.#cancel = this.#options.world.schedule(PROPAGATION_MS, () => this.#serve(bundle));
  }

  #isTrusted(bundle: Bundle): boolean {
    const issuer = issuerOf(bundle);
    return issuer !== undefined && this.#trust.isTrusted(issuer);
  }

  #serve({ server }: Bundle): void {
    const { served, logger } = this.#options;
    if (server.key === this.#servedKey) return;
    this.#servedKey = server.key;
    served.serve({ certificate: server.certificate.pem, key: server.key });
    logger.info('The webhook serves a certificate', {
      until: new Date(server.certificate.until).toISOString(),
    });
    this.#options.progressed();
  }
}
