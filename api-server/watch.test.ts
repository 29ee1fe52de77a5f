import test from 'ava';
import { anything, assert, json, oneof, property, string } from 'fast-check';
import { ApiError, GarbledError } from './api-server.ts';
import { eventOf } from './watch.ts';

const OBJECT = { metadata: { name: 'a', resourceVersion: '7' } };

function told(type: string): string {
  return eventOf(JSON.stringify({ type, object: OBJECT })).type;
}

test('events say what changed and up to where', (t) => {
  t.is(told('ADDED'), 'changed');
  t.is(told('MODIFIED'), 'changed');
  t.is(told('DELETED'), 'deleted');
  const bookmark = '{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"12"}}}';
  t.like(eventOf(bookmark), { type: 'bookmark', resourceVersion: '12' });
});

test('a refusal in the middle of a watch is one like any other', (t) => {
  const line =
    '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version: 1 (9)"}}';
  const error = t.throws(() => eventOf(line), { instanceOf: ApiError });
  t.like(error, { status: 410, reason: 'Expired', message: 'too old resource version: 1 (9)' });
});

test('whatever else a line holds is garbled', (t) => {
  const lines = [
    '{"type":"ADDED"',
    'null',
    '7',
    '{}',
    '{"type":"ADDED","object":null}',
    '{"type":"ADDED","object":{"metadata":{"name":"a"}}}',
    '{"type":"ADDED","object":{"metadata":{"resourceVersion":"7"}}}',
    '{"type":"toString","object":{"metadata":{"name":"a","resourceVersion":"7"}}}',
  ];
  for (const line of lines) t.throws(() => eventOf(line), { instanceOf: GarbledError }, line);
  assert(
    property(
      oneof(
        string(),
        json(),
        anything().map((value) => JSON.stringify(value) ?? ''),
      ),
      (line) => {
        t.throws(() => eventOf(line), { instanceOf: GarbledError });
      },
    ),
  );
});
