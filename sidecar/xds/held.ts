/** A resource as a session remembers it. */
export interface HeldResource {
  readonly version: string;
  /** Of its serialised content, in bytes. */
  readonly size: number;
  /** The content itself, where it is kept. */
  readonly bytes: Uint8Array | undefined;
}

/** A version as our control plane makes them. */
const HASH = /^[0-9a-f]{16}$/u;

/** All that is held of one resource type, by name. Its sums are kept along, so that asking for them costs nothing. */
export class HeldResources implements Iterable<readonly [string, HeldResource]> {
  readonly #byName = new Map<string, HeldResource>();
  #bytes = 0;
  #versionSum = 0n;
  /** How many have a version that is no hash. */
  #unsummed = 0;

  get count(): number {
    return this.#byName.size;
  }

  /** Of the serialised contents. */
  get bytes(): number {
    return this.#bytes;
  }

  get(name: string): HeldResource | undefined {
    return this.#byName.get(name);
  }

  set(name: string, resource: HeldResource): void {
    this.delete(name);
    this.#byName.set(name, resource);
    this.#account(resource, 1);
  }

  /** True if there was one. */
  delete(name: string): boolean {
    const resource = this.#byName.get(name);
    if (resource !== undefined) {
      this.#account(resource, -1);
    }
    return this.#byName.delete(name);
  }

  names(): Iterable<string> {
    return this.#byName.keys();
  }

  [Symbol.iterator](): Iterator<readonly [string, HeldResource]> {
    return this.#byName[Symbol.iterator]();
  }

  /**
   * Whether this is exactly the set that a server named by this `system_version_info`. Our control plane gives
   * every resource a hash as its version and a set the sum of them, modulo 2^64, all in 16 hexadecimal digits: an
   * exact mark of the end of an answer in several parts, which the protocol itself does not have. It is a hint
   * only: what another server writes there never equals the sum, so that it proves nothing.
   */
  isSetOfVersion(systemVersion: string): boolean {
    return (
      this.#unsummed === 0 &&
      HASH.test(systemVersion) &&
      BigInt.asUintN(64, this.#versionSum) === BigInt(`0x${systemVersion}`)
    );
  }

  #account({ version, size }: HeldResource, sign: 1 | -1): void {
    this.#bytes += sign * size;
    if (HASH.test(version)) {
      this.#versionSum += BigInt(sign) * BigInt(`0x${version}`);
    } else {
      this.#unsummed += sign;
    }
  }
}
