import { type Interval, merged, parseInterval } from './intervals.ts';
import { type Action, type Chain, type NamedSet, type Ruleset, TABLE } from './ruleset.ts';

/** What `nft -j list table` tells, as far as it is looked at (libnftables-json(5)). */
interface Listing {
  readonly nftables: readonly {
    readonly set?: ListedSet;
    readonly chain?: ListedChain;
    readonly rule?: ListedRule;
  }[];
}

interface ListedSet {
  readonly name: string;
  readonly type: string;
  readonly elem?: readonly ListedElement[];
}

type ListedElement =
  | number
  | string
  | { readonly range: readonly [number | string, number | string] }
  | { readonly prefix: { readonly addr: string; readonly len: number } };

interface ListedChain {
  readonly name: string;
  readonly type: string;
  readonly hook: string;
  readonly prio: number;
  readonly policy: string;
}

interface ListedRule {
  readonly chain: string;
  readonly comment?: string;
  readonly expr: readonly Statement[];
}

interface Statement {
  readonly return?: null;
  readonly drop?: null;
  readonly redirect?: { readonly port?: number };
  readonly snat?: { readonly family?: string };
}

/** How what is in the kernel differs from what was asked for, a sentence each; empty where it does not. */
export function differences(wanted: Ruleset, json: string): string[] {
  const { nftables } = JSON.parse(json) as Listing;
  const sets = nftables.flatMap(({ set }) => set ?? []);
  const chains = nftables.flatMap(({ chain }) => chain ?? []);
  const rules = nftables.flatMap(({ rule }) => rule ?? []);
  return [
    ...unexpected('set', wanted.sets, sets),
    ...unexpected('chain', wanted.chains, chains),
    ...wanted.sets.flatMap((set) => differencesOfSet(set, sets)),
    ...wanted.chains.flatMap((chain) => differencesOfChain(chain, chains, rules)),
  ];
}

type Named = readonly { readonly name: string }[];

function unexpected(kind: string, wanted: Named, listed: Named): string[] {
  const names = new Set(wanted.map(({ name }) => name));
  return listed
    .filter(({ name }) => !names.has(name))
    .map(({ name }) => `Table ${TABLE} has a ${kind} ${name} that was not asked for.`);
}

function differencesOfSet(wanted: NamedSet, listed: readonly ListedSet[]): string[] {
  const set = listed.find(({ name }) => name === wanted.name);
  if (set === undefined) return [`Set ${wanted.name} is missing.`];
  const expected = merged(wanted.elements.map(parseInterval));
  const actual = merged((set.elem ?? []).map(intervalOf));
  return sameIntervals(expected, actual) && set.type === wanted.type
    ? []
    : [`Set ${wanted.name} does not hold what it was given (${wanted.elements.join(', ')}).`];
}

function intervalOf(element: ListedElement): Interval {
  if (typeof element !== 'object') return parseInterval(String(element));
  if ('range' in element) return parseInterval(element.range.join('-'));
  return parseInterval(`${element.prefix.addr}/${element.prefix.len}`);
}

function sameIntervals(a: readonly Interval[], b: readonly Interval[]): boolean {
  return a.length === b.length && a.every(([first, last], at) => first === b[at]?.[0] && last === b[at]?.[1]);
}

function differencesOfChain(
  wanted: Chain,
  chains: readonly ListedChain[],
  rules: readonly ListedRule[],
): string[] {
  const chain = chains.find(({ name }) => name === wanted.name);
  if (chain === undefined) return [`Chain ${wanted.name} is missing.`];
  const { type, hook, prio, policy } = chain;
  const isPlaced =
    type === wanted.type && hook === wanted.hook && prio === wanted.priority && policy === 'accept';
  return [
    ...(isPlaced ? [] : [`Chain ${wanted.name} is at ${hook} ${prio} as ${type}, policy ${policy}.`]),
    ...differencesOfRules(
      wanted,
      rules.filter((rule) => rule.chain === wanted.name),
    ),
  ];
}

function differencesOfRules({ name, rules }: Chain, listed: readonly ListedRule[]): string[] {
  if (listed.length !== rules.length) {
    return [`Chain ${name} has ${listed.length} rules instead of ${rules.length}.`];
  }
  return rules.flatMap((rule, index) => {
    const actual = listed[index];
    return actual?.comment === rule.comment && does(rule.action, actual.expr.at(-1) ?? {})
      ? []
      : [`Rule ${index + 1} of chain ${name} is not "${rule.comment}".`];
  });
}

function does(action: Action, statement: Statement): boolean {
  switch (action.kind) {
    case 'redirect':
      return statement.redirect?.port === action.port;
    case 'from-destination':
      return statement.snat?.family === action.family;
    case 'drop':
      return statement.drop === null;
    default:
      return statement.return === null;
  }
}
