import test from 'ava';
import { create } from '@bufbuild/protobuf';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';
import { refusalOf } from './rejection.ts';
import { createResource } from './resource.ts';

const upserts = Array.from({ length: 2000 }, (_, at) =>
  createResource('type.googleapis.com/example.Thing', `n/${at}`, Buffer.from('1')),
);

function rejected(message: string): string[] {
  return [...refusalOf(create(StatusSchema, { message }), { upserts, removals: [] }).reasons.keys()];
}

test('names are searched in as much of a message as is kept, and not in all of a large response', (t) => {
  t.deepEqual(rejected('bad: n/7'), ['n/7']);
  t.is(rejected(`${'x'.repeat(5000)} n/7`).length, upserts.length);
  t.is(rejected('bad: n/1999').length, upserts.length);
});
