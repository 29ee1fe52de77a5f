import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** One YAML or JSON file as it is on disk at one moment. */
export interface FoundFile {
  /** Below the directory, e.g. `shop/cart.yaml`. */
  readonly path: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Another one whenever the file may have changed. */
  readonly stamp: string;
  /** Why it is not to be read, with what to do. */
  readonly refusal: string | undefined;
}

/** What is in a directory and those below it at one moment. */
export interface Listing {
  readonly files: ReadonlyMap<string, FoundFile>;
  /** The directories that were read: path on disk to what stands there, which may be replaced under one name. */
  readonly directories: ReadonlyMap<string, string>;
  /** Files and directories that are there and cannot be read: path below the directory to the reason. */
  readonly unreadable: ReadonlyMap<string, string>;
}

/** Deeper than any person nests folders, and soon reached where symbolic links lead to and fro. */
const DEEPEST = 12;

/** Links between neighbours multiply: a dozen folders that link to each other make millions of paths. */
export const MOST_DIRECTORIES = 1_000;
const MOST_FILES = 10_000;

const TOO_MANY = `has more than ${MOST_FILES} files or ${MOST_DIRECTORIES} folders, which symbolic links may multiply: make it smaller`;

/** At the top of every ext4 volume, for root alone: nothing of the user's is in it. */
const FILE_SYSTEM_OWN = 'lost+found';

const FILE_NAME = /\.(ya?ml|json)$/i;

/**
 * Lists a directory and those below it, following symbolic links: a ConfigMap is mounted as links into a
 * hidden directory that is exchanged as a whole. Hidden entries are left out, so that neither those
 * directories nor the files that editors keep beside what they edit count twice. Undefined: there is no such
 * directory. Never rejects.
 */
export async function listDirectory(root: string): Promise<Listing | undefined> {
  const listing = { files: new Map(), directories: new Map(), unreadable: new Map() } satisfies Listing;
  const visit = new Visit(root, listing);
  await visit.directory('', []);
  return listing.directories.has(root) || listing.unreadable.has('') ? listing : undefined;
}

export function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

/** In words, what the operating system says about a file. */
export function explain(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return EXPLANATIONS[code] ?? (error as Error).message;
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  EACCES: 'may not be read by this user: change its permissions',
  EPERM: 'may not be read by this user: change its permissions',
  ENOTDIR: 'is not a directory: name the directory that the files are in',
  ENOENT: 'does not exist: create it or name another one',
  ELOOP: 'is a symbolic link that leads back to itself: remove it',
};

interface ListingDraft {
  readonly files: Map<string, FoundFile>;
  readonly directories: Map<string, string>;
  readonly unreadable: Map<string, string>;
}

class Visit {
  readonly #root: string;
  readonly #listing: ListingDraft;
  #entered = 0;

  constructor(root: string, listing: ListingDraft) {
    this.#root = root;
    this.#listing = listing;
  }

  /** `above`: the directories that lead to it, none of which is entered again where a link leads back up. */
  async directory(path: string, above: readonly string[]): Promise<void> {
    this.#entered += 1;
    if (this.#entered > MOST_DIRECTORIES) return this.#refuse();
    await this.#unlessUnreadable(path, async () => {
      const onDisk = this.#onDisk(path);
      const { dev, ino, birthtimeNs } = await stat(onDisk, { bigint: true });
      const self = `${dev}:${ino}`;
      if (above.includes(self)) return;
      const entries = await readdir(onDisk, { withFileTypes: true });
      this.#listing.directories.set(onDisk, `${self}:${birthtimeNs}`);
      await Promise.all(entries.map(async (entry) => this.#entry(path, entry, [...above, self])));
    });
  }

  async #entry(parent: string, entry: Dirent, above: readonly string[]): Promise<void> {
    if (entry.name.startsWith('.') || entry.name === FILE_SYSTEM_OWN) return;
    const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
    if (entry.isDirectory()) return this.#below(path, above);
    const isNamedAsOurs = FILE_NAME.test(entry.name);
    if (!isNamedAsOurs && !entry.isSymbolicLink()) return;
    await this.#unlessUnreadable(path, async () => {
      const found = await stat(this.#onDisk(path), { bigint: true });
      if (found.isDirectory()) return this.#below(path, above);
      if (!isNamedAsOurs || !found.isFile()) return;
      if (this.#listing.files.size >= MOST_FILES) return this.#refuse();
      const [size, modified] = [Number(found.size), Number(found.mtimeMs)];
      this.#listing.files.set(path, { path, size, modified, stamp: stampOf(found), refusal: undefined });
    });
  }

  /** What was not looked at is not gone, wherever it is. */
  #refuse(): void {
    this.#listing.unreadable.set('', TOO_MANY);
  }

  async #below(path: string, above: readonly string[]): Promise<void> {
    if (above.length <= DEEPEST) await this.directory(path, above);
  }

  /** What vanished meanwhile, or is a link to nowhere, is not there. */
  async #unlessUnreadable(path: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#listing.unreadable.set(path, explain(error));
    }
  }

  #onDisk(path: string): string {
    return path === '' ? this.#root : join(this.#root, path);
  }
}
