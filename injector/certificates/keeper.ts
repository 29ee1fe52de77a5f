import { ApiError, type ApiServer, type KubernetesObject } from '../../api-server/api-server.ts';
import { type ListWatch, listWatch } from '../../api-server/list-watch.ts';
import type { Logger } from '../../process/log.ts';
import { type Bundle, readBundle, type SecretData, secretData } from './bundle.ts';
import type { Certificate } from './certificate.ts';
import { type ClockWorld, Reconciler } from './reconciler.ts';
import { isOlder } from './resource-version.ts';
import {
  freshBundle,
  nextStep,
  type RotationInput,
  type RotationPolicy,
  type Step,
  stepped,
} from './rotation.ts';

export interface KeeperOptions {
  readonly api: ApiServer;
  readonly namespace: string;
  /** The Secret's name. */
  readonly secret: string;
  /** What the certificate is for. */
  readonly hosts: readonly string[];
  readonly policy: RotationPolicy;
  readonly logger: Logger;
  readonly world: ClockWorld;
  /** Whom API servers trust. */
  readonly trust: {
    readonly isKnown: boolean;
    isTrusted(authority: Certificate): boolean;
    authorities(): Certificate[];
  };
  /** Told of each bundle that the Secret holds, and that can be used. */
  readonly changed: (bundle: Bundle) => void;
}

interface Secret extends KubernetesObject {
  readonly data?: SecretData;
}

const TRUST_UNKNOWN_MS = 1_000;

/**
 * Keeps the webhook's certificates in a Secret that all replicas share. Each of them does what is to be done, and
 * the API server lets one succeed: a write must name the version that it is based on. The others find it done.
 */
export class CertificateKeeper {
  readonly #options: KeeperOptions;
  readonly #watch: ListWatch;
  readonly #reconciler: Reconciler;
  readonly #path: string;
  #secret: Secret | undefined;
  /** The last one that was of use: what the Secret should hold if it does not any more. */
  #good: Bundle | undefined;
  #isKnown = false;
  #lastStep: { readonly kind: Step['kind']; readonly at: number } | undefined;

  constructor(options: KeeperOptions) {
    const { api, namespace, secret, logger, world } = options;
    this.#options = options;
    this.#path = `/api/v1/namespaces/${namespace}/secrets`;
    this.#reconciler = new Reconciler({
      reconcile: () => this.#reconcile(),
      what: `Writing Secret ${namespace}/${secret}`,
      logger,
      world,
    });
    this.#watch = listWatch({
      api,
      path: this.#path,
      query: { fieldSelector: `metadata.name=${secret}` },
      logger,
      receiver: {
        replaced: ([object]) => this.#take(object),
        changed: (object) => this.#take(object),
        deleted: () => this.#take(undefined),
      },
    });
  }

  /** What is missing until there is a certificate, as a sentence without a subject; undefined: nothing. */
  get obstacle(): string | undefined {
    if (this.#good !== undefined) return undefined;
    const { namespace, secret } = this.#options;
    const problem = this.#watch.problem ?? this.#reconciler.problem ?? 'reading it';
    return `waiting for Secret ${namespace}/${secret}: ${problem}`;
  }

  /** Whom API servers trust has changed, which may have been waited for. */
  trustChanged(): void {
    if (this.#isKnown) this.#reconciler.wake();
  }

  /** Resolves once no attempt to write the Secret is under way. */
  settled(): Promise<void> {
    return this.#reconciler.settled();
  }

  close(): void {
    this.#watch.close();
    this.#reconciler.close();
  }

  #take(object: KubernetesObject | undefined): void {
    if (isOlder(object, this.#secret)) return;
    this.#secret = object;
    this.#isKnown = true;
    this.#reconciler.wake();
  }

  async #reconcile(): Promise<number> {
    // What is decided about this version is written over this one: another may arrive meanwhile.
    const secret = this.#secret;
    const read = readBundle(secret?.data);
    if (!read.ok) {
      // What other replicas serve must stay trusted: without knowing what that is, nothing is replaced.
      if (this.#good === undefined && !this.#options.trust.isKnown) return TRUST_UNKNOWN_MS;
      await this.#replaceUseless(secret, read.why);
      return 0;
    }
    this.#adopt(read.bundle);
    const input = this.#input;
    const step = nextStep(read.bundle, input);
    if (step.kind === 'rest') return Math.min(step.until - input.now, input.policy.recheckMs);
    const early = this.#earlyMs(step, input);
    if (early > 0) return early;
    this.#lastStep = { kind: step.kind, at: input.now };
    await this.#write(secret, await stepped(step, read.bundle, input));
    this.#options.logger.info('The certificates of the webhook were renewed', { step: step.kind });
    return 0;
  }

  /** How much too early it is to take this step: another replica may have just undone it, and would again. */
  #earlyMs({ kind }: Step, { now, policy: { repeatMs } }: RotationInput): number {
    if (this.#lastStep?.kind !== kind) return 0;
    // Set back, the clock says that the last one is still to come.
    return Math.min(repeatMs, this.#lastStep.at + repeatMs - now);
  }

  #adopt(bundle: Bundle): void {
    if (this.#good?.server.key === bundle.server.key && sameAuthorities(this.#good, bundle)) return;
    this.#good = bundle;
    this.#options.changed(bundle);
  }

  async #replaceUseless(secret: Secret | undefined, why: string): Promise<void> {
    const { logger, namespace, secret: name, trust } = this.#options;
    const restored = this.#good;
    const fields = { secret: `${namespace}/${name}`, restored: restored !== undefined };
    if (Object.keys(secret?.data ?? {}).length > 0) {
      const sentence =
        'The Secret of the webhook is of no use and is replaced; to bring a certificate of your own, set ' +
        'CORTEXFLOW_CERTIFICATE_DIRECTORY';
      logger.warn(sentence, { ...fields, why });
    } else if (restored !== undefined) {
      logger.warn('The Secret of the webhook was deleted and is written again', fields);
    }
    await this.#write(secret, restored ?? (await freshBundle(this.#input, trust.authorities())));
    if (restored === undefined) logger.info('The webhook has certificates of its own', fields);
  }

  async #write(secret: Secret | undefined, bundle: Bundle): Promise<void> {
    const data = secretData(bundle);
    const written = secret === undefined ? this.#create(data) : this.#replace(secret, data);
    this.#take(await written);
  }

  async #create(data: SecretData): Promise<Secret> {
    const { api, secret: name } = this.#options;
    const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'kubernetes.io/tls', data };
    try {
      return (await api.request({ method: 'POST', path: this.#path, body })) as Secret;
    } catch (error) {
      return this.#readInstead(error);
    }
  }

  /** Names the version it is based on, by the metadata that are sent back. */
  async #replace(secret: Secret, data: SecretData): Promise<Secret | undefined> {
    const { api, namespace, secret: name } = this.#options;
    if (secret['immutable'] === true) {
      throw new Error(
        'it is immutable, so what is wrong with it cannot be set right: delete it (kubectl delete secret ' +
          `${name} -n ${namespace}), and the injector makes another`,
      );
    }
    try {
      const body = { ...secret, data };
      return (await api.request({ method: 'PUT', path: `${this.#path}/${name}`, body })) as Secret;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      return this.#readInstead(error);
    }
  }

  /** What another replica wrote, where it was faster. */
  async #readInstead(error: unknown): Promise<Secret> {
    if (!(error instanceof ApiError) || error.status !== 409) throw error;
    const { api, secret: name } = this.#options;
    return (await api.request({ method: 'GET', path: `${this.#path}/${name}` })) as Secret;
  }

  get #input(): RotationInput {
    const { hosts, policy, trust, world } = this.#options;
    return { hosts, policy, now: world.now(), isTrusted: (authority) => trust.isTrusted(authority) };
  }
}

function sameAuthorities(a: Bundle, b: Bundle): boolean {
  return (
    a.authorities.length === b.authorities.length &&
    a.authorities.every(({ pem }, index) => pem === b.authorities[index]?.pem)
  );
}
