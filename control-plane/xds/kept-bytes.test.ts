import test from 'ava';
import { keptBytes } from './kept-bytes.ts';
import { keptNode } from './node.ts';
import { createResource } from './resource.ts';

test('has the parts in their order', (t) => {
  t.deepEqual(keptBytes([Buffer.from('ab'), new Uint8Array(), Buffer.from('c')]), Buffer.from('abc'));
});

test('what lives as long as a resource or a stream keeps its own bytes alive and no others', (t) => {
  const { deltaEntry, sotwEntry } = createResource('example.com/Type', 'demo/hello', Buffer.from('value'));
  t.is(deltaEntry.buffer.byteLength, deltaEntry.length);
  t.is(sotwEntry.buffer, deltaEntry.buffer);
  t.is(keptNode(Buffer.from('node')).buffer.byteLength, 4);
});
