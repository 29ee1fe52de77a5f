import type { ApiServer, KubernetesObject } from '../../api-server/api-server.ts';
import { type ListWatch, listWatch } from '../../api-server/list-watch.ts';
import type { Logger } from '../../process/log.ts';
import { type Certificate, parseCertificates, sameCertificate } from './certificate.ts';
import { type ClockWorld, Reconciler } from './reconciler.ts';
import { isOlder } from './resource-version.ts';

export interface WebhookTrustOptions {
  readonly api: ApiServer;
  /** Of the MutatingWebhookConfiguration. */
  readonly name: string;
  readonly logger: Logger;
  readonly world: ClockWorld;
  /** What API servers trust is another thing now. */
  readonly changed: () => void;
}

const PATH = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';

/** As much of a MutatingWebhookConfiguration as is read here. */
interface Configuration extends KubernetesObject {
  readonly webhooks?: readonly { readonly clientConfig?: { readonly caBundle?: string } }[];
}

/**
 * Whom API servers trust when they call the webhook: the `caBundle`s of its MutatingWebhookConfiguration. It is
 * followed, and set right whenever somebody changes it.
 */
export class WebhookTrust {
  /** How often somebody else's change had to be undone. */
  repairs = 0;
  readonly #options: WebhookTrustOptions;
  readonly #watch: ListWatch;
  readonly #reconciler: Reconciler;
  #configuration: Configuration | undefined;
  /** In base64, as it stands in the configuration. */
  #wanted: string | undefined;
  /** What was found right before: what differs from it now was changed by somebody else. */
  #settled: string | undefined;

  constructor(options: WebhookTrustOptions) {
    const { api, name, logger, world } = options;
    this.#options = options;
    this.#reconciler = new Reconciler({
      reconcile: () => this.#reconcile(),
      what: `Setting the caBundle of MutatingWebhookConfiguration ${name}`,
      logger,
      world,
    });
    this.#watch = listWatch({
      api,
      path: PATH,
      query: { fieldSelector: `metadata.name=${name}` },
      logger,
      receiver: {
        replaced: ([object]) => this.#take(object),
        changed: (object) => this.#take(object),
        deleted: () => this.#take(undefined),
      },
    });
  }

  /** Makes API servers trust these authorities, in PEM, and no others. */
  want(authorities: string): void {
    const wanted = Buffer.from(authorities).toString('base64');
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    if (this.#isRight) this.#settled = wanted;
    this.#reconciler.wake();
  }

  /** What is missing until reviews can arrive, as a sentence without a subject; undefined: nothing. */
  get obstacle(): string | undefined {
    const { name } = this.#options;
    if (this.#isRight) return undefined;
    const problem = this.#watch.problem ?? this.#reconciler.problem;
    if (problem !== undefined) return `waiting for MutatingWebhookConfiguration ${name}: ${problem}`;
    return this.#watch.isSynced && this.#configuration === undefined
      ? `waiting for MutatingWebhookConfiguration ${name}, which does not exist: apply it`
      : `setting the caBundle of MutatingWebhookConfiguration ${name}`;
  }

  /** Whether it is known yet whom they trust. */
  get isKnown(): boolean {
    return this.#watch.isSynced;
  }

  /** Whether API servers trust the authority. Where nobody calls the webhook, nobody distrusts it either. */
  isTrusted(authority: Certificate): boolean {
    if (!this.isKnown) return false;
    return this.#bundles.every((bundle) =>
      authoritiesIn(bundle).some((one) => sameCertificate(one, authority)),
    );
  }

  /** All authorities that API servers trust for the webhook just now. */
  authorities(): Certificate[] {
    return [...new Set(this.#bundles)].flatMap(authoritiesIn).filter(({ x509 }) => x509.ca);
  }

  /** Resolves once no attempt to set it is under way. */
  settled(): Promise<void> {
    return this.#reconciler.settled();
  }

  close(): void {
    this.#watch.close();
    this.#reconciler.close();
  }

  get #bundles(): string[] {
    return (this.#configuration?.webhooks ?? []).map(({ clientConfig }) => clientConfig?.caBundle ?? '');
  }

  get #isRight(): boolean {
    return this.#configuration !== undefined && this.#bundles.every((bundle) => bundle === this.#wanted);
  }

  #take(object: KubernetesObject | undefined): void {
    if (isOlder(object, this.#configuration)) return;
    this.#configuration = object;
    if (this.#isRight) this.#settled = this.#wanted;
    this.#reconciler.wake();
    this.#options.changed();
  }

  async #reconcile(): Promise<number> {
    const { name, logger } = this.#options;
    if (this.#isRight || this.#wanted === undefined || this.#configuration === undefined) {
      return Number.POSITIVE_INFINITY;
    }
    if (this.#settled === this.#wanted) {
      this.repairs += 1;
      logger.warn('Somebody changed the caBundle of the webhook: it is set again', { configuration: name });
    }
    const object = await this.#patch(this.#configuration, this.#wanted);
    if (object === undefined) return 0;
    logger.info('The caBundle of the webhook is set', { configuration: name });
    this.#take(object);
    return 0;
  }

  /** Undefined where the configuration was changed meanwhile: another replica was faster, or somebody else. */
  async #patch(configuration: Configuration, wanted: string): Promise<Configuration | undefined> {
    const { api, name } = this.#options;
    try {
      const body = patchOf(configuration, wanted);
      const contentType = 'application/json-patch+json';
      const path = `${PATH}/${name}`;
      return (await api.request({ method: 'PATCH', path, contentType, body })) as Configuration;
    } catch (error) {
      if (this.#configuration === configuration) throw error;
      return undefined;
    }
  }
}

/** Fails where the configuration was changed meanwhile: then it is looked at again. */
function patchOf({ metadata, webhooks = [] }: Configuration, wanted: string): object[] {
  return [
    { op: 'test', path: '/metadata/resourceVersion', value: metadata.resourceVersion },
    ...webhooks.map((_, index) => ({
      op: 'add',
      path: `/webhooks/${index}/clientConfig/caBundle`,
      value: wanted,
    })),
  ];
}

/** What cannot be read is trusted by nobody either. */
function authoritiesIn(bundle: string): Certificate[] {
  try {
    return parseCertificates(Buffer.from(bundle, 'base64').toString());
  } catch {
    return [];
  }
}
