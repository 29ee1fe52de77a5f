import type { FSWatcher } from 'node:fs';
import { watch } from 'node:fs';

interface Follower {
  readonly identity: string;
  readonly watcher: FSWatcher;
}

/**
 * Tells that something happened in one of several directories, never what: operating systems report that
 * differently and lose some of it. Who is told looks for himself, and also from time to time untold.
 */
export class DirectoryWatch {
  readonly #followers = new Map<string, Follower>();
  readonly #onChange: () => void;
  readonly #onFailure: (directory: string, error: Error) => void;

  constructor(onChange: () => void, onFailure: (directory: string, error: Error) => void) {
    this.#onChange = onChange;
    this.#onFailure = onFailure;
  }

  /**
   * Follows these directories and no others. Each comes with its identity: another directory under the same
   * path, after a rename or behind a link that now leads elsewhere, is followed anew. Returns whether any is
   * newly followed, so that what happened in it before may have gone unnoticed.
   */
  follow(directories: ReadonlyMap<string, string>): boolean {
    for (const [path, { identity }] of this.#followers) {
      if (directories.get(path) !== identity) this.#leave(path);
    }
    const unfollowed = [...directories].filter(([path]) => !this.#followers.has(path));
    for (const [path, identity] of unfollowed) this.#enter(path, identity);
    return unfollowed.some(([path]) => this.#followers.has(path));
  }

  close(): void {
    for (const path of this.#followers.keys()) this.#leave(path);
  }

  #enter(path: string, identity: string): void {
    try {
      const watcher = watch(path, this.#onChange);
      watcher.on('error', (error) => {
        this.#leave(path);
        this.#onFailure(path, error);
      });
      this.#followers.set(path, { identity, watcher });
    } catch (error) {
      this.#onFailure(path, error as Error);
    }
  }

  #leave(path: string): void {
    this.#followers.get(path)?.watcher.close();
    this.#followers.delete(path);
  }
}
