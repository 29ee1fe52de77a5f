import test from 'ava';
import { parse } from 'yaml';
import type { Node } from './node.ts';
import { parseNode } from './node.ts';
import { identify, objectLabel, unpackList } from './object.ts';
import type { Parsed } from './parsed.ts';

function read(metadata: string): Parsed<Node> {
  const object: unknown = parse(`{apiVersion: v1, kind: Node, metadata: {${metadata}}}`);
  const identified = identify(object);
  if (identified.outcome !== 'identified' || identified.identity.kind !== 'Node') {
    throw new Error('the fixture is no Node');
  }
  return parseNode(object, identified.identity);
}

function inZone(zone: string): Parsed<Node> {
  return { outcome: 'accepted', value: { name: 'node-a.example', zone }, warnings: [] };
}

test('a Node is where its label says, or nobody knows where', (t) => {
  t.deepEqual(read('name: node-a.example, labels: {topology.kubernetes.io/zone: eu-1a}'), inZone('eu-1a'));
  t.deepEqual(read('name: node-a.example, labels: {topology.kubernetes.io/region: eu}'), inZone(''));
  t.deepEqual(read('name: node-a.example, labels: null'), inZone(''));
});

test('a Node has no namespace, in messages as in its metadata', (t) => {
  const [item] = unpackList({
    apiVersion: 'v1',
    kind: 'NodeList',
    items: [{ metadata: { name: 'node-a' } }],
  });
  const identified = identify(item);
  t.deepEqual(identified, { outcome: 'identified', identity: { kind: 'Node', name: 'node-a' } });
  t.is(objectLabel({ kind: 'Node', name: 'node-a' }), 'Node node-a');
  t.deepEqual(read('name: node-a, namespace: demo'), {
    outcome: 'rejected',
    problems: ['metadata.namespace is "demo": leave it out: a Node belongs to no namespace'],
  });
});

test('the items of a PodList are Pods', (t) => {
  const [item] = unpackList({ apiVersion: 'v1', kind: 'PodList', items: [{ metadata: { name: 'a' } }] });
  t.like(identify(item), { identity: { kind: 'Pod', namespace: 'default', name: 'a' } });
});

test('a name that no Node can have, since it becomes a resource name', (t) => {
  t.deepEqual(read('name: "*"'), {
    outcome: 'rejected',
    problems: [
      'metadata.name is "*": use a DNS name: lower-case letters, digits, dashes and dots, at most 253 of them',
    ],
  });
});
