import type { KubernetesObject } from '../../api-server/api-server.ts';
import type { Kind } from '../mesh/object.ts';
import type { MeshEvent } from '../mesh/state.ts';

/**
 * Which objects of one kind the mesh has been told of, so that a list, which says nothing of what is gone, becomes
 * the deletions that it means. Pure.
 */
export class KnownObjects {
  readonly #kind: Kind;
  /** By `namespace/name`, or the name alone where the kind has no namespaces. */
  #keys: Set<string> = new Set();

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** These are all there are. */
  replaced(objects: readonly KubernetesObject[]): readonly MeshEvent[] {
    const keys = new Set(objects.map(keyOf));
    const gone = [...this.#keys].filter((key) => !keys.has(key));
    this.#keys = keys;
    const upserts = objects.map((object): MeshEvent => ({ type: 'upsert', object }));
    return [...gone.map((key) => this.#deletion(key)), ...upserts];
  }

  changed(object: KubernetesObject): readonly MeshEvent[] {
    this.#keys.add(keyOf(object));
    return [{ type: 'upsert', object }];
  }

  deleted(object: KubernetesObject): readonly MeshEvent[] {
    const key = keyOf(object);
    this.#keys.delete(key);
    return [this.#deletion(key)];
  }

  #deletion(key: string): MeshEvent {
    const [first = '', second = ''] = key.split('/');
    const kind = this.#kind;
    return kind === 'Node'
      ? { type: 'delete', kind, name: first }
      : { type: 'delete', kind, namespace: first, name: second };
  }
}

function keyOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
