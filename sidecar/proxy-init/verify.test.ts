import test from 'ava';
import { parseCidr } from '../../wire/cidr.ts';
import { type Action, rulesetFor } from './ruleset.ts';
import { differences } from './verify.ts';

const wanted = rulesetFor(
  {
    proxyUid: 2102,
    outbound: {
      port: 5054,
      exclude: {
        ports: [{ first: 22, last: 23 }],
        cidrs: ['10.0.0.0/8', '10.1.0.0/16'].map((text) => parseCidr(text)!),
      },
    },
    inbound: { port: 5056, exclude: { ports: [], cidrs: [] } },
  },
  { findsListeners: true },
);

interface Listed {
  chain: { name: string; type: string; hook: string; prio: number; policy: string };
  rule: { chain: string; comment: string; expr: object[] };
  set: { name: string; type: string; elem?: unknown[] };
}

function statement(action: Action): object {
  switch (action.kind) {
    case 'redirect':
      return { redirect: { port: action.port } };
    case 'from-destination':
      return { snat: { family: action.family, addr: {} } };
    case 'drop':
      return { drop: null };
    default:
      return { return: null };
  }
}

/** What nft would list of it, with one edit. */
function listing(edit: (entries: Partial<Listed>[]) => void = () => {}): string {
  const entries: Partial<Listed>[] = [
    ...wanted.sets.map(({ name, type }) => ({ set: { name, type } })),
    ...wanted.chains.map(({ name, type, hook, priority }) => ({
      chain: { name, hook, type, prio: priority, policy: 'accept' },
    })),
    ...wanted.chains.flatMap(({ name, rules }) =>
      rules.map(({ comment, action }) => ({
        rule: {
          chain: name,
          comment,
          expr: [{ match: {} }, statement(action)],
        },
      })),
    ),
  ];
  entries[0]!.set!.elem = [{ range: [22, 23] }];
  entries[1]!.set!.elem = [{ prefix: { addr: '10.0.0.0', len: 8 } }];
  edit(entries);
  return JSON.stringify({ nftables: [{ metainfo: {} }, { table: {} }, ...entries] });
}

test('what is there as it was asked for, in whatever pieces', (t) => {
  t.deepEqual(differences(wanted, listing()), []);
  t.deepEqual(
    differences(
      wanted,
      listing((entries) => {
        entries[0]!.set!.elem = [22, 23];
        entries[1]!.set!.elem = [{ range: ['10.0.0.0', '10.255.255.255'] }];
      }),
    ),
    [],
  );
});

function first(entries: Partial<Listed>[], kind: keyof Listed): number {
  return entries.findIndex((entry) => kind in entry);
}

function ruleCalled(entries: readonly Partial<Listed>[], comment: string): Listed['rule'] {
  return entries.find(({ rule }) => rule?.comment === comment)!.rule!;
}

test('what is not is named', (t) => {
  const cases: readonly (readonly [(entries: Partial<Listed>[]) => void, RegExp])[] = [
    [(entries) => void (entries[0]!.set!.elem = [22]), /^Set outbound_excluded_ports does not hold/u],
    [(entries) => void entries.shift(), /^Set outbound_excluded_ports is missing/u],
    [
      (entries) => void entries.splice(first(entries, 'rule'), 1),
      /^Chain outbound has 8 rules instead of 9/u,
    ],
    [(entries) => void (entries[first(entries, 'rule')]!.rule!.comment = 'x'), /^Rule 1 of chain outbound/u],
    [
      (entries) => void (entries.at(-1)!.rule!.expr = [{ return: null }]),
      /^Rule 2 of chain source is not "the sidecar to the workload, IPv6"/u,
    ],
    [
      (entries) => void (entries.at(-3)!.rule!.expr = [{ redirect: { port: 1 } }]),
      /^Rule 8 of chain inbound is not "to the sidecar where somebody listens"/u,
    ],
    [
      (entries) => void (entries[first(entries, 'chain')]!.chain!.prio = 0),
      /^Chain outbound is at output 0/u,
    ],
    [
      (entries) => void (entries[first(entries, 'chain') + 1]!.chain!.type = 'nat'),
      /^Chain invalid is at prerouting -150 as nat/u,
    ],
    [
      (entries) => void (ruleCalled(entries, 'out of window').expr = [{ accept: null }]),
      /^Rule 7 of chain invalid is not "out of window"/u,
    ],
    [(entries) => void entries.splice(first(entries, 'chain'), 1), /^Chain outbound is missing/u],
    [
      (entries) => void entries.push({ set: { name: 'more', type: 'mark' } }),
      /has a set more that was not asked/u,
    ],
  ];
  for (const [edit, expected] of cases) {
    const found = differences(wanted, listing(edit));
    t.is(found.length, 1, found.join(' '));
    t.regex(found[0] ?? '', expected);
  }
});
