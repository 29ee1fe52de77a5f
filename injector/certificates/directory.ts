import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../process/log.ts';
import type { Pair, ServedCertificate } from './serving.ts';

export interface DirectoryOptions {
  /** Holds tls.crt and tls.key, as a mounted Secret of type kubernetes.io/tls does. */
  readonly directory: string;
  readonly served: ServedCertificate;
  readonly logger: Logger;
  readonly schedule: (delayMs: number, run: () => void) => () => void;
  /** The obstacle may be another one now, or none. */
  readonly progressed: () => void;
}

/** The kubelet replaces all files of a mount at once, other programs one after another. */
const SETTLE_MS = 100;
/** Changes are not always told of: on some file systems never. */
const AGAIN_MS = 10_000;

/** A certificate that somebody else provides and renews, in files. The webhook configuration is theirs, too. */
export class CertificateDirectory {
  readonly #options: DirectoryOptions;
  #obstacle: string | undefined;
  #shown: Pair | undefined;
  #watcher: FSWatcher | undefined;
  #cancel = (): void => {};
  #isClosed = false;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#obstacle = `waiting for tls.crt and tls.key in ${options.directory}`;
    void this.#read();
  }

  /** What is missing until there is a certificate, as a sentence without a subject; undefined: nothing. */
  get obstacle(): string | undefined {
    return this.#options.served.isThere ? undefined : this.#obstacle;
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel();
    this.#watcher?.close();
  }

  async #read(): Promise<void> {
    const { directory, logger } = this.#options;
    this.#watch();
    try {
      const [certificate, key] = await Promise.all(
        ['tls.crt', 'tls.key'].map((name) => readFile(join(directory, name), 'utf8')),
      );
      if (!this.#isClosed) this.#serve({ certificate: certificate ?? '', key: key ?? '' });
      this.#obstacle = undefined;
    } catch (error) {
      const obstacle = `tls.crt and tls.key in ${directory} are of no use: ${(error as Error).message}`;
      if (obstacle !== this.#obstacle)
        logger.warn('The certificate cannot be read; what was read before stays', { directory, error });
      this.#obstacle = obstacle;
    }
    this.#readAfter(AGAIN_MS);
  }

  #serve(pair: Pair): void {
    if (pair.certificate === this.#shown?.certificate && pair.key === this.#shown.key) return;
    this.#options.served.serve(pair);
    this.#shown = pair;
    this.#options.logger.info('The webhook serves a certificate', { directory: this.#options.directory });
    this.#options.progressed();
  }

  #readAfter(delayMs: number): void {
    this.#cancel();
    if (!this.#isClosed) this.#cancel = this.#options.schedule(delayMs, () => void this.#read());
  }

  /** Where the directory is not there yet, or is another one by now, looking again has to do. */
  #watch(): void {
    if (this.#watcher !== undefined || this.#isClosed) return;
    try {
      this.#watcher = watch(this.#options.directory, { persistent: false }, () => this.#readAfter(SETTLE_MS));
      this.#watcher.on('error', () => this.#unwatch());
    } catch {
      this.#unwatch();
    }
  }

  #unwatch(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
