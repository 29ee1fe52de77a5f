import test from 'ava';
import type { FollowedState } from './source.ts';
import { obstaclesOf, outageClause, staleSentence } from './staleness.ts';

function state(more: Partial<FollowedState>): FollowedState {
  const counted = { objects: 1, relists: 0, errors: 0 };
  return { kind: 'Service', ...counted, stalenessMs: 30_000, isSynced: true, problem: undefined, ...more };
}

test('what is waited for is named, problems first', (t) => {
  t.deepEqual(
    obstaclesOf([
      state({}),
      state({ kind: 'Pod', isSynced: false }),
      state({ kind: 'EndpointSlice', isSynced: false, problem: 'may not list endpointslices' }),
      state({ kind: 'Node', isSynced: false }),
    ]),
    ['may not list endpointslices', 'waiting for the list of Pod, Node'],
  );
  t.deepEqual(obstaclesOf([state({})]), []);
});

test('nothing is said while all is heard of; then since when, and why if that is known', (t) => {
  t.is(staleSentence([state({}), state({ kind: 'Pod', stalenessMs: 90_000 })]), undefined);
  t.is(
    staleSentence([state({ stalenessMs: 130_000 }), state({ kind: 'Pod' })]),
    'what is served may be out of date, last heard from the API server: Service 130 s ago',
  );
  t.is(
    staleSentence([
      state({ stalenessMs: 2_000, problem: 'cannot watch services: no answer within 30 s' }),
      state({ kind: 'Pod', stalenessMs: 200_000 }),
    ]),
    'what is served may be out of date, last heard from the API server: Service 2 s, Pod 200 s ago; this program cannot watch services: no answer within 30 s',
  );
});

test('after five minutes without a word of a kind this replica is not to be relied on, whatever the others say', (t) => {
  t.is(outageClause([state({ stalenessMs: 299_000, problem: 'cannot watch services' })]), undefined);
  t.is(outageClause([state({ stalenessMs: 400_000, isSynced: false })]), undefined);
  t.is(
    outageClause([
      state({}),
      state({ kind: 'Pod', stalenessMs: 301_000, problem: 'may not watch pods: no' }),
    ]),
    'the API server was not heard of Pod for 301 s; this program may not watch pods: no',
  );
});
