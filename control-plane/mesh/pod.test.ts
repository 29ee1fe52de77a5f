import test from 'ava';
import { parse } from 'yaml';
import { identify } from './object.ts';
import type { Parsed } from './parsed.ts';
import type { Pod } from './pod.ts';
import { parsePod } from './pod.ts';

function read(metadata: string, spec = '{}', status = '{}'): Parsed<Pod | undefined> {
  const object: unknown = parse(
    `{apiVersion: v1, kind: Pod, metadata: {${metadata}}, spec: ${spec}, status: ${status}}`,
  );
  const identified = identify(object);
  if (identified.outcome !== 'identified' || identified.identity.kind !== 'Pod') {
    throw new Error('the fixture is no Pod');
  }
  return parsePod(object, identified.identity);
}

const INJECTED = 'name: hello-0, labels: {cortexflow.io/injected: "true"}';

function accepted(value: Pod | undefined): Parsed<Pod | undefined> {
  return { outcome: 'accepted', value, warnings: [] };
}

test('a Pod with a sidecar is kept with whom it runs as, and nothing else of it', (t) => {
  t.deepEqual(
    read(INJECTED, '{serviceAccountName: web, nodeName: n}'),
    accepted({ serviceAccount: 'web', addresses: [] }),
  );
  t.deepEqual(read(INJECTED), accepted({ serviceAccount: 'default', addresses: [] }));
  t.deepEqual(
    read(INJECTED, '{serviceAccountName: ""}'),
    accepted({ serviceAccount: 'default', addresses: [] }),
  );
  for (const labels of ['', ', labels: {}', ', labels: {cortexflow.io/injected: "yes"}']) {
    t.deepEqual(read(`name: hello-0${labels}`, '{serviceAccountName: web}'), accepted(undefined), labels);
  }
});

test('its addresses are kept as slices write them', (t) => {
  t.deepEqual(
    read(INJECTED, '{}', '{podIPs: [{ip: 10.1.0.1}, {ip: "FD00:0::1"}]}'),
    accepted({ serviceAccount: 'default', addresses: ['10.1.0.1', 'fd00::1'] }),
  );
  t.deepEqual(read(INJECTED, '{}', '{podIPs: [{}]}'), {
    outcome: 'rejected',
    problems: ['status.podIPs[0].ip is missing: use an IP address'],
  });
});

const MISTAKES: readonly (readonly [metadata: string, spec: string, problem: string])[] = [
  [
    'name: hello-0, labels: {cortexflow.io/injected: true}',
    '{}',
    'metadata.labels["cortexflow.io/injected"] is true: use text, in quotes where it looks like a number or a boolean',
  ],
  [
    INJECTED.replace('hello-0', 'a/b'),
    '{}',
    'metadata.name is "a/b": use a DNS name: lower-case letters, digits, dashes and dots, at most 253 of them',
  ],
  [
    INJECTED,
    '{serviceAccountName: "*"}',
    'spec.serviceAccountName is "*": use a DNS name: lower-case letters, digits, dashes and dots, at most 253 of them',
  ],
  [INJECTED, '[]', 'spec is a list of 0: use an object'],
];

for (const [metadata, spec, problem] of MISTAKES) {
  test(problem, (t) => {
    t.deepEqual(read(metadata, spec), { outcome: 'rejected', problems: [problem] });
  });
}
