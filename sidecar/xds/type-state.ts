import type { Resource } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';
import type { Change, Origin } from '../services/change.ts';
import type { StoredType } from '../services/last-good-file.ts';
import { HeldResources } from './held.ts';
import { RejectedNames } from './rejected-names.ts';
import type { ResourceKind } from './resource-kind.ts';
import { WILDCARD } from './resource-kind.ts';
import { problemWith } from './well-formed.ts';

/** What an earlier run's resources come to. */
export interface Restored {
  readonly changes: readonly Change[];
  /** How many could not be read. */
  readonly unusable: number;
}

/** What a client subscribed to of one resource type, and what it holds. */
export class TypeState {
  readonly kind: ResourceKind;
  readonly subscribed: Set<string>;
  /** Subscriptions answered, be it with nothing: a wildcard as a whole, a collection at least in part. */
  readonly answered = new Set<string>();
  readonly held = new HeldResources();
  readonly rejected = new RejectedNames();
  /** Subscriptions of which this stream has told all: what is not held under them does not exist. */
  readonly #confirmed = new Set<string>();
  #confirmations = 0;
  #hasSpoken = false;
  readonly #isWildcard: boolean;
  readonly #keepsBytes: boolean;

  constructor(kind: ResourceKind, keepsBytes: boolean) {
    this.kind = kind;
    this.subscribed = new Set(kind.standing);
    this.#isWildcard = kind.standing.includes(WILDCARD);
    this.#keepsBytes = keepsBytes;
  }

  /** Whether a first answer has begun, or may, whose end is not marked. */
  get isUnsettled(): boolean {
    return this.#isWildcard && !this.answered.has(WILDCARD);
  }

  /** What arrives after it was unsubscribed from was sent before the server heard of that. */
  isWanted(name: string): boolean {
    return this.subscribed.has(this.kind.subscriptionOf(name));
  }

  /** Another number whenever `rejected` or `confirmed` may have changed. */
  get extentVersion(): number {
    return this.rejected.version + this.#confirmations;
  }

  get confirmed(): ReadonlySet<string> {
    return this.#confirmed;
  }

  get hasUnconfirmed(): boolean {
    return this.subscribed.size > this.#confirmed.size;
  }

  /** What earlier streams told stays, but what there is besides is not known any more. */
  beginStream(): void {
    this.#hasSpoken = false;
    this.#withdraw();
    this.rejected.beginStream();
  }

  /**
   * A response of this type came: true if it is the first one on this stream. If silence was taken for the end of what
   * there was to tell, it was none.
   */
  beginResponse(): boolean {
    if (this.#hasSpoken) return false;
    this.#hasSpoken = true;
    this.#withdraw();
    return true;
  }

  /** Takes what is held and what was rejected on this stream for all that there is. */
  confirm(): void {
    for (const subscription of this.answered) this.#confirmed.add(subscription);
    this.#confirmations++;
    this.rejected.deleteEarlier();
  }

  /** Takes what was told under a wildcard so far as all that there is. */
  settle(): Change[] {
    return this.#isWildcard ? this.#answer(WILDCARD) : [];
  }

  /** Settles if the set of this version is exactly what is held. */
  settleAt(systemVersion: string): Change[] {
    if (!this.#isWildcard || !this.held.isSetOfVersion(systemVersion)) return [];
    const changes = this.settle();
    if (!this.#confirmed.has(WILDCARD)) this.confirm();
    return changes;
  }

  /** The changes that a resource brings, or why it is rejected. */
  take(resource: Resource, origin: Origin): Change[] | string {
    const { name, version } = resource;
    if (this.#isHeld(name, version)) {
      this.rejected.delete(name);
      return [];
    }
    const problem = problemWith(resource, this.kind.typeUrl);
    if (problem !== undefined) {
      return problem;
    }
    const bytes = resource.resource?.value ?? new Uint8Array();
    const decoded = this.kind.put(name, bytes, origin);
    if (!decoded.ok) {
      return decoded.reason;
    }
    // A copy, because these bytes are a window on the whole response.
    this.#hold(name, version, this.#keepsBytes ? bytes.slice() : bytes);
    this.rejected.delete(name);
    // More of a collection may follow in further responses.
    const answer = this.#isWildcard ? [] : this.#answer(this.kind.subscriptionOf(name));
    return [...answer, decoded.value];
  }

  remove(name: string): Change[] {
    // A collection removed as a whole has become empty, or was so when it was asked for.
    if (!this.#isWildcard && this.subscribed.has(name)) {
      this.#drop(name);
      this.answered.add(name);
      this.#confirmed.add(name);
      this.#confirmations++;
      return [this.kind.answered(name)];
    }
    this.rejected.delete(name);
    return this.held.delete(name) ? [this.kind.removed(name)] : [];
  }

  /** Lets go of a subscription and all that came under it; false if there was none. */
  unsubscribe(subscription: string): boolean {
    this.answered.delete(subscription);
    this.#confirmed.delete(subscription);
    this.#confirmations++;
    this.#drop(subscription);
    return this.subscribed.delete(subscription);
  }

  /**
   * Takes up what an earlier run held. Where a resource cannot be used any more, its subscription counts as not
   * answered: what there is of a wildcard is used meanwhile, a collection is used whole or not at all. What that
   * run subscribed to from its start and this one does not, such as the node it ran on, is left behind.
   */
  restore({ answered, resources }: StoredType, sinceMs: number): Restored {
    const read = resources.map(({ name, version, bytes }) => ({
      name,
      version,
      bytes,
      outcome: this.kind.put(name, bytes, { version, source: 'disk', sinceMs }),
    }));
    const unusable = read.filter(({ outcome }) => !outcome.ok);
    const incomplete = new Set(unusable.map(({ name }) => this.kind.subscriptionOf(name)));
    const changes: Change[] = [];
    const isTaken = (one: string): boolean =>
      !incomplete.has(one) && (this.kind.onDemand || this.subscribed.has(one));
    for (const subscription of answered.filter(isTaken)) {
      this.subscribed.add(subscription);
      changes.push(...this.#answer(subscription));
    }
    for (const { name, version, bytes, outcome } of read) {
      if (outcome.ok && this.isWanted(name)) {
        this.#hold(name, version, bytes);
        changes.push(outcome.value);
      }
    }
    return { changes, unusable: unusable.length };
  }

  /** What `restore` takes. */
  stored(): StoredType {
    return {
      typeUrl: this.kind.typeUrl,
      answered: [...this.answered],
      resources: [...this.held].flatMap(([name, { version, bytes }]) =>
        bytes === undefined ? [] : [{ name, version, bytes }],
      ),
    };
  }

  /** Without a version, nobody knows whether it is the same. */
  #isHeld(name: string, version: string): boolean {
    return name !== '' && version !== '' && this.held.get(name)?.version === version;
  }

  #hold(name: string, version: string, bytes: Uint8Array): void {
    this.held.set(name, { version, size: bytes.length, bytes: this.#keepsBytes ? bytes : undefined });
  }

  /** The change that comes with the first answer to a subscription. */
  #answer(subscription: string): Change[] {
    if (this.answered.has(subscription)) {
      return [];
    }
    this.answered.add(subscription);
    return [this.kind.answered(subscription)];
  }

  #withdraw(): void {
    this.#confirmed.clear();
    this.#confirmations++;
  }

  #drop(subscription: string): void {
    const isUnderIt = (name: string): boolean => this.kind.subscriptionOf(name) === subscription;
    this.rejected.deleteAll(isUnderIt);
    for (const name of this.held.names()) {
      if (isUnderIt(name)) {
        this.held.delete(name);
      }
    }
  }
}
