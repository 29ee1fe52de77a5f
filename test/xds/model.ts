import type {
  DeltaDiscoveryResponse,
  DiscoveryResponse,
} from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';

/** What the server holds, by name: the truth that a client is to end up with. */
export type Truth = ReadonlyMap<string, string>;

/** Does a list of names, collections and `*` stand for this resource? */
export function covers(names: Iterable<string>, resource: string): boolean {
  const collection = `${resource.slice(0, Math.max(0, resource.lastIndexOf('/')))}/*`;
  for (const name of names) {
    if (name === '*' || name === resource || name === collection) return true;
  }
  return false;
}

export function expected(truth: Truth, names: ReadonlySet<string>): Map<string, string> {
  return new Map([...truth].filter(([name]) => covers(names, name)));
}

/** By name, so that two are compared whatever their order; long contents in short. */
export function inOrder(entries: Iterable<readonly [string, string]>): string[] {
  return [...entries].map(([name, text]) => `${name}: ${text.slice(0, 20)} (${text.length})`).toSorted();
}

/** A delta client that believes whatever it is told of what it asked for. Throws at what no server may do. */
export class DeltaModel {
  readonly names = new Set<string>();
  readonly held = new Map<string, { readonly version: string; readonly text: string }>();
  readonly #nonces = new Set<string>();
  /** Given up, and the server may not have heard of that yet. */
  readonly #givenUp = new Set<string>();
  /** Resources may be repeated as long as something that was asked for is not answered. */
  mayRepeat = true;

  /** Nonces are unique on one stream; another one begins anew. */
  reconnect(): void {
    this.#nonces.clear();
    this.heard();
  }

  /** The server has read all that was sent to it so far: nothing may come any more that was given up before. */
  heard(): void {
    this.#givenUp.clear();
  }

  subscribe(names: readonly string[]): void {
    for (const name of names) this.names.add(name);
    this.mayRepeat = true;
  }

  /** What is given up is dropped, also where something else covers it: the server says it again then. */
  unsubscribe(names: readonly string[]): void {
    const gone = names.filter((name) => this.names.delete(name));
    for (const name of gone) this.#givenUp.add(name);
    for (const resource of this.held.keys()) {
      const explicit = this.names.has(resource);
      const covered = gone.includes('*') ? covers(this.names, resource) : explicit;
      const isSingle = gone.includes(resource);
      if (covers(gone, resource) && (isSingle || !covered)) this.held.delete(resource);
    }
    this.mayRepeat = true;
  }

  receive({ nonce, resources, removedResources }: DeltaDiscoveryResponse): void {
    if (this.#nonces.has(nonce)) throw new Error(`nonce ${nonce} came twice`);
    this.#nonces.add(nonce);
    const names = [...resources.map(({ name }) => name), ...removedResources];
    if (new Set(names).size < names.length) throw new Error(`a name came twice: ${names.join(' ')}`);
    for (const name of names) {
      if (!covers(this.names, name) && !covers(this.#givenUp, name))
        throw new Error(`nobody asked for ${name}`);
    }
    for (const { name, version, resource } of resources) {
      if (!this.mayRepeat && this.held.get(name)?.version === version) throw new Error(`${name} came again`);
      // Given up while it was under way: kept, it would stay for good, since nobody would tell of its end.
      if (!covers(this.names, name)) continue;
      this.held.set(name, { version, text: Buffer.from(resource?.value ?? []).toString() });
    }
    for (const name of removedResources) this.held.delete(name);
  }

  get versions(): Record<string, string> {
    return Object.fromEntries([...this.held].map(([name, { version }]) => [name, version]));
  }

  get texts(): Map<string, string> {
    return new Map([...this.held].map(([name, { text }]) => [name, text]));
  }
}

/** A state-of-the-world client. Contents are `name=text`, since responses carry no names. */
export class SotwModel {
  names: ReadonlySet<string> = new Set();
  readonly held = new Map<string, string>();
  readonly #fullState: boolean;
  readonly #nonces = new Set<string>();

  constructor(fullState: boolean) {
    this.#fullState = fullState;
  }

  want(names: ReadonlySet<string>): void {
    this.names = names;
    for (const resource of this.held.keys()) if (!covers(names, resource)) this.held.delete(resource);
  }

  receive({ nonce, resources }: DiscoveryResponse): void {
    if (this.#nonces.has(nonce)) throw new Error(`nonce ${nonce} came twice`);
    this.#nonces.add(nonce);
    const contents = resources.map(({ value }) => Buffer.from(value).toString());
    const names = contents.map((content) => content.slice(0, content.indexOf('=')));
    if (new Set(names).size < names.length) throw new Error(`a name came twice: ${names.join(' ')}`);
    if (this.#fullState) this.held.clear();
    for (const [at, name] of names.entries()) {
      // What crossed a change of mind is not wanted any more.
      if (covers(this.names, name)) this.held.set(name, contents[at] as string);
    }
  }
}
