import { join } from 'node:path';
import type { FileContents } from './file-contents.ts';
import { digestOf } from './file-contents.ts';
import { Parser } from './parser.ts';
import { readText } from './read-file.ts';
import type { Settled, Settling } from './settling.ts';

export interface FileReadsOptions {
  readonly directory: string;
  readonly quickMs: number;
  readonly slowMs: number;
  /** How long before a file that could not be opened is tried again. */
  readonly rescanMs: number;
  readonly contents: FileContents;
  readonly settling: Settling;
  /** Milliseconds, on the clock of `settling`. */
  readonly now: () => number;
  /** Called whenever a file has been read, or could not be. */
  readonly onRead: () => void;
}

interface Job {
  readonly cancelling: AbortController;
  isSlow: boolean;
}

/** Reads files into the contents, one after another, and parses them side by side; a newer version cancels the older. */
export class FileReads {
  readonly #options: FileReadsOptions;
  readonly #parser: Parser;
  readonly #jobs = new Map<string, Job>();
  /** Files whose last version was slow to parse. */
  readonly #slow = new Set<string>();
  #lastText: Promise<unknown> = Promise.resolve();
  #lastJob: Promise<unknown> = Promise.resolve();

  constructor(options: FileReadsOptions) {
    this.#options = options;
    this.#parser = new Parser(options);
  }

  begin(settled: Settled): void {
    const { path } = settled;
    this.#jobs.get(path)?.cancelling.abort();
    const job: Job = { cancelling: new AbortController(), isSlow: false };
    this.#jobs.set(path, job);
    const done = this.#run(settled, job).finally(() => {
      if (this.#jobs.get(path) === job) this.#jobs.delete(path);
      this.#options.onRead();
    });
    this.#lastJob = Promise.allSettled([this.#lastJob, done]);
  }

  get isIdle(): boolean {
    return this.#jobs.size === 0;
  }

  /** Files that are being parsed and take long. */
  get slow(): readonly string[] {
    return [...this.#jobs].filter(([, { isSlow }]) => isSlow).map(([path]) => path);
  }

  async close(): Promise<void> {
    for (const { cancelling } of this.#jobs.values()) cancelling.abort();
    await this.#lastJob;
    await this.#parser.close();
  }

  async #run(settled: Settled, job: Job): Promise<void> {
    const { path, file } = settled;
    const { contents, settling, directory, now, rescanMs } = this.#options;
    if (file === undefined) {
      this.#slow.delete(path);
      contents.remove(path);
      return;
    }
    const reading = this.#lastText.then(async () => readText(join(directory, path), file));
    this.#lastText = reading;
    const read = await reading;
    if (job.cancelling.signal.aborted) return;
    if (read.outcome === 'read') await this.#parse(path, { text: read.text, isFinal: settled.isFinal }, job);
    else if (read.outcome === 'changed') settling.putBack(path, now());
    else {
      contents.fail(path, read.problem);
      if (read.mayPass) settling.retry(path, now() + rescanMs);
    }
  }

  async #parse(path: string, { text, isFinal }: { text: string; isFinal: boolean }, job: Job): Promise<void> {
    const { contents, settling, now, rescanMs } = this.#options;
    const { signal } = job.cancelling;
    const digest = digestOf(text);
    if (contents.isUnchanged(path, { digest, isFinal })) return;
    const result = await this.#parser.parse(text, {
      signal,
      isSlow: this.#slow.has(path),
      onSlow: () => {
        job.isSlow = true;
        this.#options.onRead();
      },
    });
    if (result === undefined) return;
    if (result.isSlow) this.#slow.add(path);
    else this.#slow.delete(path);
    const hasRoom = await contents.set(path, result.read, { digest, isFinal, signal });
    if (!hasRoom) settling.retry(path, now() + rescanMs);
  }
}
