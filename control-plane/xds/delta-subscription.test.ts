import test from 'ava';
import { NO_CLAIMS } from './claims.ts';
import { beginDelta, changeDelta, nextDelta } from './delta-subscription.ts';
import type { Advance } from './delta-subscription.ts';
import { EMPTY_SET, withResources } from './resource-set.ts';
import type { ResourceSet } from './resource-set.ts';
import { createResource } from './resource.ts';
import type { Subscription } from './subscription.ts';
import { Target } from './target.ts';

const T = 'type.googleapis.com/example.Thing';

function edited(set: ResourceSet, contents: Readonly<Record<string, string | undefined>>): ResourceSet {
  return withResources(
    set,
    Object.entries(contents).map(([name, text]) => [
      name,
      text === undefined ? undefined : createResource(T, name, Buffer.from(text)),
    ]),
  );
}

function targetOf(set: ResourceSet): Target {
  return new Target(set, 10_000);
}

function told({ content }: Advance): string | undefined {
  if (content === undefined) return undefined;
  const sent = content.upserts.map(({ name }) => `+${name}`).toSorted();
  return [...sent, ...content.removals.map((name) => `-${name}`).toSorted()].join(' ');
}

/** Subscribed to these names, and level with the set. */
function levelWith(set: ResourceSet, subscribe: readonly string[]): Subscription {
  const begun = beginDelta({ subscribe, unsubscribe: [] }, NO_CLAIMS, targetOf(set));
  return nextDelta(begun, targetOf(set), false).subscription;
}

const SET = edited(EMPTY_SET, { a: '1', 'n/s/1': '1', 'n/s/2': '1' });

test('a collection that shrank and is asked for again: additions first, and the removal is not forgotten', (t) => {
  const shrunk = targetOf(edited(SET, { 'n/s/1': undefined }));
  const asked = changeDelta(levelWith(SET, ['n/s/*']), { subscribe: ['n/s/*'], unsubscribe: [] });
  const additions = nextDelta(asked, shrunk, true);
  t.is(told(additions), '+n/s/2');
  t.is(told(nextDelta(additions.subscription, shrunk, true)), undefined);
  const removals = nextDelta(additions.subscription, shrunk, false);
  t.is(told(removals), '-n/s/1');
  t.is(told(nextDelta(removals.subscription, shrunk, false)), undefined);
});

test('names that stand for nothing wait for the removals, and are answered then', (t) => {
  const target = targetOf(SET);
  const begun = beginDelta({ subscribe: ['a', 'none', 'n/none/*'], unsubscribe: [] }, NO_CLAIMS, target);
  const additions = nextDelta(begun, target, true);
  t.is(told(additions), '+a');
  t.is(told(nextDelta(additions.subscription, target, false)), '-n/none/* -none');
});

test('a change of mind while removals wait loses nothing', (t) => {
  const emptied = edited(SET, { 'n/s/1': undefined, 'n/s/2': undefined });
  const waiting = nextDelta(levelWith(SET, ['n/s/*']), targetOf(emptied), true).subscription;
  const refilled = targetOf(edited(emptied, { 'n/s/2': '1', 'n/s/3': '1' }));
  t.is(told(nextDelta(waiting, refilled, false)), '+n/s/3 -n/s/1');
});

test('a wildcard that ends while it is behind leaves its names to be told the rest', (t) => {
  const next = targetOf(edited(SET, { a: '2', 'n/s/1': undefined }));
  const asked = changeDelta(levelWith(SET, ['*', 'a', 'n/s/*']), {
    subscribe: ['n/s/*'],
    unsubscribe: ['*'],
  });
  t.is(told(nextDelta(asked, next, false)), '+a +n/s/2 -n/s/1');
});

test('streams that are owed the same are given the very same content', (t) => {
  const next = targetOf(edited(SET, { 'n/s/1': '2' }));
  const contents = [['*'], ['n/s/*'], ['n/s/*', 'a']].map((names) => [
    nextDelta(levelWith(SET, names), next, false).content,
    nextDelta(levelWith(SET, names), next, false).content,
  ]);
  for (const [one, other] of contents) t.is(one, other);
  t.is(contents[1]?.[0], contents[2]?.[0]);
});

test('giving up a wildcard that there is none of changes nothing', (t) => {
  const begun = beginDelta({ subscribe: ['n/s/*'], unsubscribe: [] }, NO_CLAIMS, targetOf(SET));
  t.is(changeDelta(begun, { subscribe: [], unsubscribe: ['*'] }), begun);
});

test('what is asked for again, does not fit, and is gone by then, is told as removed', (t) => {
  const large = 'x'.repeat(1000);
  const set = edited(EMPTY_SET, { a: large, b: large });
  const asked = changeDelta(levelWith(set, ['a', 'b']), { subscribe: ['a', 'b'], unsubscribe: [] });
  const first = nextDelta(asked, new Target(set, 1000), false);
  t.is(first.content?.upserts.length, 1);
  const later = new Target(edited(set, { a: undefined, b: undefined }), 1000);
  t.is(told(nextDelta(first.subscription, later, false)), '-a -b');
});

test('what is asked for, does not fit, and is gone by then, is answered', (t) => {
  const large = 'x'.repeat(1000);
  const set = edited(EMPTY_SET, { a: large, b: large });
  const begun = beginDelta({ subscribe: ['a', 'b'], unsubscribe: [] }, NO_CLAIMS, targetOf(set));
  const first = nextDelta(begun, new Target(set, 1000), false);
  t.is(first.content?.upserts.length, 1);
  const later = new Target(EMPTY_SET, 1000);
  t.is(told(nextDelta(first.subscription, later, false)), '-a -b');
});

test('names that hold separators are not taken for other names', (t) => {
  const target = targetOf(SET);
  const answerTo = (subscribe: readonly string[]): readonly string[] | undefined => {
    const begun = beginDelta({ subscribe, unsubscribe: [] }, NO_CLAIMS, target);
    return nextDelta(begun, target, false).content?.removals;
  };
  for (const separator of ['\n', '\n-', ' ', ',', '","', '1:', '\0']) {
    t.deepEqual(answerTo([`x${separator}y`]), [`x${separator}y`]);
    t.deepEqual(answerTo(['x', 'y']), ['x', 'y']);
  }
});

test('a change of names that hold separators is not taken for one of other names', (t) => {
  const joined = edited(EMPTY_SET, { x: '1', y: '1', 'x\ny': '1' });
  const next = targetOf(edited(joined, { x: '2', y: '2', 'x\ny': '2' }));
  t.is(told(nextDelta(levelWith(joined, ['x\ny']), next, false)), '+x\ny');
  t.is(told(nextDelta(levelWith(joined, ['x', 'y']), next, false)), '+x +y');
});

test('a wildcard asked for again is sent again, once for all the times, and in shared answers', (t) => {
  const target = targetOf(SET);
  const again = { subscribe: ['*'], unsubscribe: [] };
  const held = levelWith(SET, ['*']);
  const asked = Array.from({ length: 10 }).reduce((before: Subscription) => changeDelta(before, again), held);
  const first = nextDelta(asked, target, false);
  t.is(told(first), '+a +n/s/1 +n/s/2');
  t.is(told(nextDelta(first.subscription, target, false)), undefined);
  t.is(nextDelta(changeDelta(held, again), target, false).content, first.content);
  const once = nextDelta(changeDelta(first.subscription, again), target, false);
  t.is(once.content, first.content);
});

test('a wildcard asked for again while it is behind is brought level first', (t) => {
  const next = targetOf(edited(SET, { a: '2', 'n/s/1': undefined }));
  const asked = changeDelta(levelWith(SET, ['*']), { subscribe: ['*'], unsubscribe: [] });
  const change = nextDelta(asked, next, false);
  t.is(told(change), '+a -n/s/1');
  t.is(told(nextDelta(change.subscription, next, false)), '+a +n/s/2');
});
