import { fromBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { Logger } from '../../process/log.ts';
import { anyOf } from './resource.ts';
import type { Resource } from './resource.ts';

/**
 * Resources of one type refer to resources of another, and a client that receives the one waits for the other, even
 * if it holds the other already: Envoy warms a changed Cluster until its endpoints arrive after it.
 */
export interface Reference {
  readonly from: string;
  /** Must come later than `from` in the engine's order. */
  readonly to: string;
  /** Reads from the serialised message of a resource, and from its name, the names that it refers to. */
  readonly names: (message: Uint8Array, name: string) => readonly string[];
}

/** Names of one type that have to follow what was just sent. */
export interface Referred {
  readonly typeUrl: string;
  readonly names: readonly string[];
}

/** Finds what resources refer to; each list of resources is read once, however many streams it is sent to. */
export class References {
  readonly #byType = new Map<string, Reference[]>();
  readonly #logger: Logger;
  readonly #known = new WeakMap<readonly Resource[], readonly Referred[]>();

  constructor(references: readonly Reference[], order: readonly string[], logger: Logger) {
    this.#logger = logger;
    for (const reference of references) {
      const { from, to } = reference;
      if (!order.includes(from) || (order.includes(to) && order.indexOf(to) <= order.indexOf(from))) {
        throw new Error(
          `references: ${from} refers to ${to}, so put ${from} before ${to} in the engine's order.`,
        );
      }
      this.#byType.set(from, [...(this.#byType.get(from) ?? []), reference]);
    }
  }

  referredBy(typeUrl: string, resources: readonly Resource[]): readonly Referred[] {
    const references = this.#byType.get(typeUrl);
    if (references === undefined || resources.length === 0) return NONE;
    const known = this.#known.get(resources);
    if (known !== undefined) return known;
    const referred = references.map((reference) => ({
      typeUrl: reference.to,
      names: [...new Set(resources.flatMap((resource) => this.#read(reference, resource)))],
    }));
    this.#known.set(resources, referred);
    return referred;
  }

  /** A resource that cannot be read is sent all the same, and refers to nothing. */
  #read({ names }: Reference, resource: Resource): readonly string[] {
    try {
      return names(fromBinary(AnySchema, anyOf(resource)).value, resource.name);
    } catch (error) {
      const { typeUrl, name } = resource;
      this.#logger.warn('Could not read what a resource refers to', { type: typeUrl, resource: name, error });
      return [];
    }
  }
}

const NONE: readonly Referred[] = [];
