import { isIP } from 'node:net';
import type { Address } from '../process/environment.ts';
import { hostPort } from '../process/listen.ts';
import type { Logger } from '../process/log.ts';

export interface AddressesOptions {
  readonly controlPlane: Address;
  readonly logger: Logger;
  readonly world: {
    readonly now: () => number;
    readonly schedule: (delayMs: number, run: () => void) => () => void;
    /** An IP address; rejects where there is none. */
    readonly lookup: (host: string) => Promise<string>;
  };
  /** Told whenever the list is another one. */
  readonly changed: (addresses: readonly string[]) => void;
}

const AGAIN_MS = 30_000;
/** An address that was last confirmed longer ago is not told any more. */
const FORGET_MS = 600_000;

/**
 * Where sidecars find the control plane: by its name, and at the IP address that the name had lately. A pod with
 * `dnsPolicy: Default` or `None` cannot resolve names of the cluster.
 */
export class ControlPlaneAddresses {
  readonly #options: AddressesOptions;
  readonly #name: string;
  #ip: string | undefined;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  #cancel = (): void => {};
  #isClosed = false;

  constructor(options: AddressesOptions) {
    this.#options = options;
    this.#name = hostPort(options.controlPlane.host, options.controlPlane.port);
  }

  get current(): readonly string[] {
    return this.#ip === undefined ? [this.#name] : [this.#name, this.#ip];
  }

  /** Resolves once the name was first looked up, and goes on doing so in the background. */
  async start(): Promise<void> {
    if (isIP(this.#options.controlPlane.host) === 0) await this.#look();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    const { controlPlane, world, logger } = this.#options;
    try {
      const ip = await world.lookup(controlPlane.host);
      this.#confirmedAt = world.now();
      this.#set(hostPort(ip, controlPlane.port));
    } catch (error) {
      logger.debug("The control plane's name could not be resolved", { host: controlPlane.host, error });
      if (world.now() - this.#confirmedAt > FORGET_MS) this.#set(undefined);
    }
    if (!this.#isClosed) this.#cancel = world.schedule(AGAIN_MS, () => void this.#look());
  }

  #set(ip: string | undefined): void {
    if (ip === this.#ip || this.#isClosed) return;
    this.#ip = ip;
    this.#options.changed(this.current);
  }
}
