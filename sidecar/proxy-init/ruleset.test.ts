import test from 'ava';
import * as fc from 'fast-check';
import type { Interception } from '../config.ts';
import { parseCidr } from '../../wire/cidr.ts';
import { merged, parseInterval } from './intervals.ts';
import { renderRuleset, rulesetFor } from './ruleset.ts';

const NOTHING = { ports: [], cidrs: [] };
const plain: Interception = {
  proxyUid: 2102,
  outbound: { port: 5054, exclude: NOTHING },
  inbound: { port: 5056, exclude: NOTHING },
};

function textOf(interception: Interception, findsListeners = true): string {
  return renderRuleset(rulesetFor(interception, { findsListeners }));
}

function rulesOf(text: string, chain: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  const from = lines.indexOf(`chain ${chain} {`) + 2;
  return lines.slice(from, lines.indexOf('}', from)).map((line) => line.replace(/ comment ".*"$/u, ''));
}

test('an earlier table is replaced in the same transaction, and its absence is no mistake', (t) => {
  t.deepEqual(textOf(plain).split('\n').slice(0, 3), [
    'table inet cortexflow',
    'delete table inet cortexflow',
    'table inet cortexflow {',
  ]);
});

test('outbound: what is left alone comes before what is redirected', (t) => {
  t.deepEqual(rulesOf(textOf(plain), 'outbound'), [
    'tcp flags & (fin | syn | rst | ack) != syn return',
    'oif lo return',
    'meta skuid 2102 return',
    'ip daddr 169.254.0.0/16 return',
    'ip6 daddr fe80::/10 return',
    'tcp dport @outbound_excluded_ports return',
    'ip daddr @outbound_excluded_ipv4 return',
    'ip6 daddr @outbound_excluded_ipv6 return',
    'meta l4proto tcp redirect to :5054',
  ]);
});

test('inbound: only where somebody listens, and never the ports of the sidecar', (t) => {
  t.deepEqual(rulesOf(textOf(plain), 'inbound'), [
    'tcp flags & (fin | syn | rst | ack) != syn return',
    'iif lo return',
    'tcp dport { 5053-5058 } return',
    'tcp dport @inbound_excluded_ports return',
    'ip saddr @inbound_excluded_ipv4 return',
    'ip6 saddr @inbound_excluded_ipv6 return',
    'fib daddr type != local return',
    'meta l4proto tcp socket transparent <= 1 redirect to :5056',
  ]);
  const elsewhere = { ...plain, inbound: { ...plain.inbound, port: 6000 } };
  t.true(rulesOf(textOf(elsewhere), 'inbound').includes('tcp dport { 5053-5058, 6000 } return'));
});

test('inbound: what connection tracking cannot place is dropped, of what may be intercepted', (t) => {
  t.deepEqual(rulesOf(textOf(plain), 'invalid'), [
    'iif lo return',
    'tcp dport { 5053-5058 } return',
    'tcp dport @inbound_excluded_ports return',
    'ip saddr @inbound_excluded_ipv4 return',
    'ip6 saddr @inbound_excluded_ipv6 return',
    'fib daddr type != local return',
    'meta l4proto tcp ct state invalid counter drop',
  ]);
  t.regex(textOf(plain), /chain invalid \{\n +type filter hook prerouting priority -150; policy accept;/u);
});

test('the sidecar comes to the workload from loopback, and the workload sees its own address', (t) => {
  t.deepEqual(rulesOf(textOf(plain), 'source'), [
    'oif lo meta skuid 2102 meta l4proto tcp ip saddr 127.0.0.1 ip daddr != 127.0.0.0/8 snat ip to ip daddr',
    'oif lo meta skuid 2102 meta l4proto tcp ip6 saddr ::1 ip6 daddr != ::1 snat ip6 to ip6 daddr',
  ]);
});

test('where the kernel cannot look up listeners, everything is redirected', (t) => {
  t.is(rulesOf(textOf(plain, false), 'inbound').at(-1), 'meta l4proto tcp redirect to :5056');
});

test('what is excluded goes into the sets of its side and family', (t) => {
  const exclude = {
    ports: [
      { first: 22, last: 22 },
      { first: 8000, last: 8010 },
    ],
    cidrs: ['10.0.0.0/8', 'fd00::/8', '192.0.2.1'].map((text) => parseCidr(text)!),
  };
  const { sets } = rulesetFor({ ...plain, outbound: { port: 5054, exclude } }, { findsListeners: true });
  t.deepEqual(
    sets.map(({ name, elements }) => `${name}: ${elements.join(' ')}`),
    [
      'outbound_excluded_ports: 22 8000-8010',
      'outbound_excluded_ipv4: 10.0.0.0/8 192.0.2.1/32',
      'outbound_excluded_ipv6: fd00::/8',
      'inbound_excluded_ports: ',
      'inbound_excluded_ipv4: ',
      'inbound_excluded_ipv6: ',
    ],
  );
});

test('every rule can be told from the others of its chain', (t) => {
  for (const { rules } of rulesetFor(plain, { findsListeners: true }).chains) {
    t.is(new Set(rules.map(({ comment }) => comment)).size, rules.length);
    for (const { comment } of rules) t.notRegex(comment, /["\n]/u);
  }
});

function spans(...texts: readonly string[]): string[] {
  return merged(texts.map(parseInterval)).map(([first, last]) => `${first}-${last}`);
}

test('intervals: what overlaps or touches is one', (t) => {
  t.deepEqual(spans('8000-8010', '22', '23', '8005-8020', '8001'), ['22-23', '8000-8020']);
  t.deepEqual(spans('10.0.0.0/31', '10.0.0.2', '9.255.255.255'), ['167772159-167772162']);
  t.deepEqual(spans('::/127', '::2', '::ffff:0.0.0.1'), ['0-2', '281470681743361-281470681743361']);
  t.deepEqual(spans(), []);
});

test('intervals hold what their pieces hold, and nothing else', (t) => {
  const piece = fc
    .tuple(fc.nat(40), fc.nat(8))
    .map(([first, length]) => [BigInt(first), BigInt(first + length)] as const);
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const whole = merged(pieces);
      for (let at = 0n; at < 60n; at += 1n) {
        const within = (intervals: readonly (readonly [bigint, bigint])[]) =>
          intervals.filter(([first, last]) => first <= at && at <= last).length;
        t.is(within(whole), within(pieces) > 0 ? 1 : 0);
      }
      t.true(whole.every(([first], index) => index === 0 || first > (whole[index - 1]?.[1] ?? 0n) + 1n));
    }),
  );
});
