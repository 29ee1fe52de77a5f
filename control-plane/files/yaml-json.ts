import type { Alias, Document, Node, Pair } from 'yaml';
import { isAlias, isMap, isPair, isScalar, isSeq, visit } from 'yaml';
import { MOST_INT64, resolvePlain } from './scalar.ts';
import type { Scalar } from './scalar.ts';

/** Why a YAML document has no JSON, and where. */
export class NotJson extends Error {
  /** In characters from the beginning of the text. */
  readonly offset: number;

  constructor(node: Node | null, problem: string) {
    super(problem);
    this.offset = node?.range?.[0] ?? 0;
  }
}

/** Far deeper than any Kubernetes object. */
const MOST_LEVELS = 200;

export const TOO_DEEP = `is nested more than ${MOST_LEVELS} levels deep: write it flatter`;

/**
 * The JSON text of a YAML document as kubectl converts it: of a key that is there twice the last counts, and a
 * merge (`<<`) sets its keys where it stands. Throws NotJson, also where that would be more than `mostBytes`.
 */
export function yamlToJson(document: Document.Parsed, mostBytes: number): string {
  return new Conversion(document, mostBytes).node(document.contents, 0);
}

class Conversion {
  readonly #targets = new Map<Alias, Node>();
  /** Aliases that are being expanded. */
  readonly #expanding = new Set<Alias>();
  readonly #budget: Budget;

  constructor(document: Document.Parsed, mostBytes: number) {
    this.#budget = new Budget(mostBytes);
    const anchors = new Map<string, Node>();
    visit(document, {
      Node: (_key, node) => {
        const target = isAlias(node) ? anchors.get(node.source) : undefined;
        if (isAlias(node) && target !== undefined) this.#targets.set(node, target);
        else if (!isAlias(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
      },
    });
  }

  node(node: Node | null, level: number): string {
    this.#budget.visit(node, this.#expanding.size > 0);
    if (level > MOST_LEVELS) throw new NotJson(node, TOO_DEEP);
    if (isAlias(node)) return this.#expanded(node, (target) => this.node(target, level + 1));
    if (isMap(node)) {
      const json: string[] = [];
      for (const [key, value] of this.#entries(node, new Map(), level)) {
        json.push(`${JSON.stringify(key)}:${value}`);
      }
      return `{${json.join(',')}}`;
    }
    if (isSeq(node)) {
      checkTag(node, 'seq');
      return `[${node.items.map((item) => this.node(nodeOf(item), level + 1)).join(',')}]`;
    }
    return this.#budget.spend(node, jsonOf(node, scalarOf(node)));
  }

  #entries(node: Node, into: Map<string, string>, level: number): Map<string, string> {
    if (!isMap(node)) throw new NotJson(node, NO_MERGE);
    checkTag(node, 'map');
    for (const { key, value } of node.items as readonly Pair[]) {
      const [keyNode, valueNode] = [nodeOf(key), nodeOf(value)];
      if (isMergeKey(keyNode)) this.#merge(valueNode, into, level + 1);
      else into.set(this.#key(keyNode), this.node(valueNode, level + 1));
    }
    return into;
  }

  #merge(source: Node | null, into: Map<string, string>, level: number): void {
    if (level > MOST_LEVELS) throw new NotJson(source, TOO_DEEP);
    if (isSeq(source)) {
      // The first of several sources wins, so it comes last.
      for (const item of source.items.toReversed()) this.#mergeOne(nodeOf(item), into, level);
    } else this.#mergeOne(source, into, level);
  }

  #mergeOne(source: Node | null, into: Map<string, string>, level: number): void {
    this.#budget.visit(source, this.#expanding.size > 0);
    if (isAlias(source)) {
      this.#expanded(source, (target) => {
        this.#budget.visit(source, true);
        return this.#entries(target, into, level);
      });
    } else if (source === null) throw new NotJson(source, NO_MERGE);
    else this.#entries(source, into, level);
  }

  #key(node: Node | null): string {
    if (isAlias(node)) return this.#expanded(node, (target) => this.#key(target));
    this.#budget.visit(node, this.#expanding.size > 0);
    return this.#budget.spend(node, keyOf(node));
  }

  #expanded<T>(alias: Alias, expand: (target: Node) => T): T {
    const target = this.#targets.get(alias);
    if (target === undefined) {
      throw new NotJson(
        alias,
        `has the alias *${alias.source} and no anchor &${alias.source} above it: add one`,
      );
    }
    if (this.#expanding.has(alias)) {
      throw new NotJson(
        alias,
        `has the alias *${alias.source} within its own anchor: write out what it stands for`,
      );
    }
    this.#expanding.add(alias);
    const result = expand(target);
    this.#expanding.delete(alias);
    return result;
  }
}

/** Bounds what a document stands for, before it is built: a few lines of aliases could stand for gigabytes. */
class Budget {
  readonly #mostBytes: number;
  #bytes = 0;
  #nodes = 1;
  #aliased = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Counts a node, and refuses when kubectl's YAML library does. */
  visit(node: Node | null, isAliased: boolean): void {
    this.#nodes += 1;
    this.#bytes += NODE_BYTES;
    if (isAliased) this.#aliased += 1;
    if (this.#aliased <= 100 || this.#nodes <= 1_000) return;
    if (this.#aliased / this.#nodes > allowedShare(this.#nodes)) throw new NotJson(node, TOO_MANY_ALIASES);
  }

  /** Counts the text, and returns it. */
  spend(node: Node | null, text: string): string {
    this.#bytes += text.length;
    if (this.#bytes <= this.#mostBytes) return text;
    throw new NotJson(node, `stands for more than ${this.#mostBytes} bytes with its aliases: split it`);
  }
}

/** Brackets, a comma. */
const NODE_BYTES = 2;

const TOO_MANY_ALIASES = 'repeats its anchors too often: write out what they stand for';
const NO_MERGE = 'merges (<<) something that is no map: name a map, an alias of one, or a list of them';

/** How much of a document may come from aliases, by the nodes so far: from 99 % of 400,000 to 10 % of 4,000,000. */
function allowedShare(nodes: number): number {
  const [low, high] = [400_000, 4_000_000];
  if (nodes <= low) return 0.99;
  return nodes >= high ? 0.1 : 0.99 - 0.89 * ((nodes - low) / (high - low));
}

/** `yaml` types the parts of a pair as unknown. */
function nodeOf(value: unknown): Node | null {
  if (isPair(value)) return null;
  return (value as Node | null | undefined) ?? null;
}

function isMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.tag === undefined && key.source === '<<';
}

function scalarOf(node: Node | null): Scalar {
  if (!isScalar(node)) return null;
  const text = node.source ?? '';
  if (node.tag !== undefined) checkTag(node, 'str');
  return node.type === 'PLAIN' && node.tag === undefined ? resolvePlain(text) : text;
}

function jsonOf(node: Node | null, value: Scalar): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new NotJson(node, 'is infinite or no number, which JSON cannot hold: write a number, or quote it');
  }
  return JSON.stringify(value);
}

function keyOf(node: Node | null): string {
  if (node !== null && !isScalar(node))
    throw new NotJson(node, 'has a key that is no text: write a plain key');
  const value = scalarOf(node);
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint' && value <= MOST_INT64) return value.toString();
  throw new NotJson(node, 'has a key that is neither text nor a whole number: quote it');
}

/** Tags that say what a node is anyway. */
function checkTag(node: Node, expected: 'map' | 'seq' | 'str'): void {
  const tag = isAlias(node) ? undefined : node.tag;
  if (tag === undefined || tag === `${TAGS}${expected}`) return;
  throw new NotJson(node, `has the tag ${tag.replace(TAGS, '!!')}: remove it, and quote what is text`);
}

const TAGS = 'tag:yaml.org,2002:';
