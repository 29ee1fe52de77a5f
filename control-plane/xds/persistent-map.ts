import { type HashKey, keyedHash } from './keyed-hash.ts';

/**
 * An immutable map from strings: a hash trie whose leaves are small Maps. Setting one key copies the path to
 * it and shares the rest with the map before, so that two versions of a map are told apart in time that grows
 * with what differs between them, and not with their size.
 */
export interface PersistentMap<V> extends Iterable<readonly [string, V]> {
  readonly size: number;
  get(key: string): V | undefined;
  has(key: string): boolean;
  /** The same map where the value is there already. */
  set(key: string, value: V): PersistentMap<V>;
  /** The same map where there is no such key. */
  delete(key: string): PersistentMap<V>;
  keys(): Iterable<string>;
  values(): Iterable<V>;
  /** Many edits in one step: the same result as one by one, without a copy for each. */
  edit(change: (draft: Draft<V>) => void): PersistentMap<V>;
  /**
   * Each value replaced by what `change` makes of it, its key removed where that is undefined, and the rest left as
   * it is once `isDone`: many edits in the order of the map, without a look-up for any.
   */
  revise(change: (key: string, value: V) => V | undefined, isDone?: () => boolean): PersistentMap<V>;
}

export interface Draft<V> {
  readonly size: number;
  get(key: string): V | undefined;
  set(key: string, value: V): void;
  delete(key: string): void;
}

export function emptyMap<V>(): PersistentMap<V> {
  return EMPTY;
}

/** Calls `visit` once for each key whose value is not the very same in both; subtrees that both share cost nothing. */
export function difference<V>(before: PersistentMap<V>, after: PersistentMap<V>, visit: Visit<V>): void {
  differ(rootOf(before), rootOf(after), visit);
}

type Visit<V> = (key: string, before: V | undefined, after: V | undefined) => void;

/** What may edit a node in place: the draft that made it. */
type Owner = object | undefined;

interface Leaf<V> {
  readonly kind: 'leaf';
  readonly entries: Map<string, V>;
  readonly owner: Owner;
}

interface Branch<V> {
  readonly kind: 'branch';
  readonly children: Node<V>[];
  readonly owner: Owner;
}

type Node<V> = Leaf<V> | Branch<V>;

const LEAF_ENTRIES = 32;
const [WORD = 0, OTHER_WORD = 0] = crypto.getRandomValues(new Int32Array(2));
const HASH_KEY: HashKey = [WORD, OTHER_WORD];
const BITS = 3;
const FAN_OUT = 1 << BITS;
/** Below this depth the hash has no bits left: keys that share them all, a few by chance, stay in one leaf. */
const MAX_DEPTH = Math.floor(32 / BITS);

class Trie<V> implements PersistentMap<V> {
  readonly root: Node<V>;
  readonly size: number;

  constructor(root: Node<V>, size: number) {
    this.root = root;
    this.size = size;
  }

  get(key: string): V | undefined {
    return lookUp(this.root, key);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V): PersistentMap<V> {
    return this.edit((draft) => draft.set(key, value));
  }

  delete(key: string): PersistentMap<V> {
    return this.edit((draft) => draft.delete(key));
  }

  edit(change: (draft: Draft<V>) => void): PersistentMap<V> {
    const draft = new TrieDraft(this.root, this.size);
    change(draft);
    if (draft.root === this.root) return this;
    return draft.size === 0 ? emptyMap() : new Trie(draft.root, draft.size);
  }

  revise(
    change: (key: string, value: V) => V | undefined,
    isDone: () => boolean = () => false,
  ): PersistentMap<V> {
    const revision = { change, isDone, removed: 0 };
    const root = reviseNode(this.root, revision);
    if (root === this.root) return this;
    return revision.removed === this.size ? emptyMap() : new Trie(root, this.size - revision.removed);
  }

  [Symbol.iterator](): Iterator<readonly [string, V]> {
    return entriesOf(this.root);
  }

  *keys(): Iterable<string> {
    for (const entries of leavesOf(this.root)) for (const key of entries.keys()) yield key;
  }

  *values(): Iterable<V> {
    for (const entries of leavesOf(this.root)) for (const value of entries.values()) yield value;
  }
}

class TrieDraft<V> implements Draft<V> {
  root: Node<V>;
  size: number;
  readonly #owner = {};

  constructor(root: Node<V>, size: number) {
    this.root = root;
    this.size = size;
  }

  get(key: string): V | undefined {
    return lookUp(this.root, key);
  }

  set(key: string, value: V): void {
    const hash = hashIn(this.root, key);
    const before = find(this.root, key, hash);
    if (before === value) return;
    this.root = insert(this.root, { key, value, hash, owner: this.#owner }, 0);
    if (before === undefined) this.size += 1;
  }

  delete(key: string): void {
    const hash = hashIn(this.root, key);
    if (find(this.root, key, hash) === undefined) return;
    this.root = remove(this.root, { key, hash, owner: this.#owner }, 0);
    this.size -= 1;
  }
}

const EMPTY: PersistentMap<never> = new Trie<never>(
  { kind: 'leaf', entries: new Map<string, never>(), owner: undefined },
  0,
);

function rootOf<V>(map: PersistentMap<V>): Node<V> {
  return (map as Trie<V>).root;
}

function leaf<V>(entries: Map<string, V>, owner: Owner): Leaf<V> {
  return { kind: 'leaf', entries, owner };
}

function lookUp<V>(root: Node<V>, key: string): V | undefined {
  return find(root, key, hashIn(root, key));
}

/** A map that is one leaf needs no hash. */
function hashIn<V>(root: Node<V>, key: string): number {
  return root.kind === 'leaf' ? 0 : hashOf(key);
}

function find<V>(root: Node<V>, key: string, hash: number): V | undefined {
  let node: Node<V> = root;
  for (let depth = 0; node.kind === 'branch'; depth += 1) {
    const child: Node<V> | undefined = node.children[slot(hash, depth)];
    if (child === undefined) return undefined;
    node = child;
  }
  return node.entries.get(key);
}

interface Insertion<V> {
  readonly key: string;
  readonly value: V;
  readonly hash: number;
  readonly owner: Owner;
}

function insert<V>(node: Node<V>, insertion: Insertion<V>, depth: number): Node<V> {
  const { key, value, hash, owner } = insertion;
  if (node.kind === 'branch') {
    const at = slot(hash, depth);
    const branch = editable(node, owner);
    branch.children[at] = insert(branch.children[at] as Node<V>, insertion, depth + 1);
    return branch;
  }
  const grown = node.owner === owner ? node : leaf(new Map(node.entries), owner);
  grown.entries.set(key, value);
  return grown.entries.size > LEAF_ENTRIES && depth < MAX_DEPTH ? split(grown, depth) : grown;
}

function split<V>(node: Leaf<V>, depth: number): Branch<V> {
  const leaves = Array.from({ length: FAN_OUT }, () => leaf(new Map<string, V>(), node.owner));
  for (const [key, value] of node.entries) leaves[slot(hashOf(key), depth)]?.entries.set(key, value);
  return { kind: 'branch', children: leaves, owner: node.owner };
}

interface Removal {
  readonly key: string;
  readonly hash: number;
  readonly owner: Owner;
}

/** Branches stay when their leaves empty: a name that comes and goes moves one leaf only. */
function remove<V>(node: Node<V>, removal: Removal, depth: number): Node<V> {
  if (node.kind === 'branch') {
    const at = slot(removal.hash, depth);
    const branch = editable(node, removal.owner);
    branch.children[at] = remove(branch.children[at] as Node<V>, removal, depth + 1);
    return branch;
  }
  const shrunk = node.owner === removal.owner ? node : leaf(new Map(node.entries), removal.owner);
  shrunk.entries.delete(removal.key);
  return shrunk;
}

interface Revision<V> {
  readonly change: (key: string, value: V) => V | undefined;
  readonly isDone: () => boolean;
  removed: number;
}

function reviseNode<V>(node: Node<V>, revision: Revision<V>): Node<V> {
  if (revision.isDone()) return node;
  if (node.kind === 'leaf') return reviseLeaf(node, revision);
  let children: Node<V>[] | undefined;
  for (const [at, child] of node.children.entries()) {
    const revised = reviseNode(child, revision);
    if (revised !== child) (children ??= node.children.slice())[at] = revised;
  }
  return children === undefined ? node : { kind: 'branch', children, owner: undefined };
}

function reviseLeaf<V>(node: Leaf<V>, revision: Revision<V>): Leaf<V> {
  let entries: Map<string, V> | undefined;
  for (const [key, value] of node.entries) {
    if (revision.isDone()) break;
    const revised = revision.change(key, value);
    if (revised === value) continue;
    entries ??= new Map(node.entries);
    if (revised === undefined) {
      entries.delete(key);
      revision.removed += 1;
    } else {
      entries.set(key, revised);
    }
  }
  return entries === undefined ? node : leaf(entries, undefined);
}

function editable<V>(branch: Branch<V>, owner: Owner): Branch<V> {
  return branch.owner === owner ? branch : { kind: 'branch', children: branch.children.slice(), owner };
}

function* entriesOf<V>(node: Node<V>): Generator<readonly [string, V]> {
  for (const entries of leavesOf(node)) for (const entry of entries) yield entry;
}

/** The Maps that hold something. No generator delegates for each key: that would cost more than the key. */
function leavesOf<V>(node: Node<V>, found: Map<string, V>[] = []): Map<string, V>[] {
  if (node.kind === 'branch') for (const child of node.children) leavesOf(child, found);
  else if (node.entries.size > 0) found.push(node.entries);
  return found;
}

function differ<V>(before: Node<V>, after: Node<V>, visit: Visit<V>): void {
  if (before === after) return;
  if (before.kind === 'branch' && after.kind === 'branch') {
    for (let at = 0; at < FAN_OUT; at += 1) {
      differ(before.children[at] as Node<V>, after.children[at] as Node<V>, visit);
    }
    return;
  }
  differEntries(collect(before), collect(after), visit);
}

function differEntries<V>(before: Map<string, V>, after: Map<string, V>, visit: Visit<V>): void {
  for (const [key, value] of after) {
    const was = before.get(key);
    if (was !== value) visit(key, was, value);
  }
  for (const [key, value] of before) if (!after.has(key)) visit(key, value, undefined);
}

/** Where one side has split and the other has not, both are laid flat. */
function collect<V>(node: Node<V>): Map<string, V> {
  return node.kind === 'leaf' ? node.entries : new Map(entriesOf(node));
}

function slot(hash: number, depth: number): number {
  return (hash >>> (depth * BITS)) & (FAN_OUT - 1);
}

/**
 * The key is the process's own, because others choose the names: with a hash that they can compute they could give
 * thousands of objects the same one, and each change would copy all of those. So the order of a map is that of this
 * process only, and nothing that replicas have to agree on may follow from it.
 */
function hashOf(key: string): number {
  return keyedHash(HASH_KEY, key);
}
