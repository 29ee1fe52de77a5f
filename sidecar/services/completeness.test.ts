import test from 'ava';
import { endpointOf, serviceOf } from '../../test/fixtures/mesh.ts';
import type { Change } from './change.ts';
import { completenessOfEndpoints, completenessOfServices } from './completeness.ts';
import type { Destination } from './decision.ts';
import { Directory } from './directory.ts';
import { emptyTable, withChanges } from './table.ts';

const origin = { version: '1', source: 'control-plane', sinceMs: 0 } as const;
const web = serviceOf('demo/web', {
  clusterIps: ['10.96.0.1'],
  ports: [{ name: '', port: 80, protocol: 'tcp', appProtocol: '' }],
});
const toWeb: Destination = { kind: 'address', address: '10.96.0.1', port: 80, protocol: 'tcp' };
const asUpstream: Destination = { kind: 'service', service: 'demo/web', port: 80, protocol: 'tcp' };
const passThrough = { action: 'pass-through', address: '10.96.0.1', port: 80, service: 'demo/web' };

const endpoint = endpointOf('10.1.0.1', { inMesh: true });

function slice(endpoints: readonly (typeof endpoint)[]): Change {
  const ports = [{ name: '', port: 8080, protocol: 'tcp' }] as const;
  return {
    kind: 'slice',
    slice: { key: 'demo/web/1', service: 'demo/web', family: 'ipv4', ports, endpoints },
    origin,
  };
}

function directoryWith(...changes: readonly Change[]): ReturnType<typeof directoryFrom> {
  return directoryFrom('control-plane', changes);
}

function directoryFrom(
  from: 'disk' | 'control-plane',
  changes: readonly Change[],
): { directory: Directory; pass: (ms: number) => void } {
  const timers = new Map<symbol, { readonly at: number; readonly run: () => void }>();
  let now = 0;
  const directory = new Directory({
    locality: { zone: '', node: '' },
    source: { subscribe: () => {}, unsubscribe: () => {} },
    schedule: (delayMs, run) => {
      const id = Symbol();
      timers.set(id, { at: now + delayMs, run });
      return () => void timers.delete(id);
    },
    endpointsIdleMs: 86_400_000,
    waitMs: 2_000,
    pinned: [],
  });
  const all: readonly Change[] = [
    { kind: 'services-known' },
    { kind: 'service', service: web, origin },
    ...changes,
  ];
  directory.start(from === 'disk' ? all : []);
  directory.apply(all);
  const pass = (ms: number): void => {
    now += ms;
    for (const [id, { at, run }] of timers) {
      if (at > now) continue;
      timers.delete(id);
      run();
    }
  };
  return { directory, pass };
}

test('a control plane that answers is believed, whatever endpoints do', (t) => {
  const { directory } = directoryWith(slice([endpoint]));
  t.false(directory.doubt(toWeb));
  t.is(directory.decide(toWeb).action, 'balance');
});

test('endpoints that do not answer, told by a control plane that is gone: the cluster IP leads to others', (t) => {
  const { directory } = directoryWith(slice([endpoint]));
  directory.sourceAnswers(false);
  t.is(directory.decide(toWeb).action, 'balance', 'what was good a moment ago is still tried');
  t.true(directory.doubt(toWeb));
  t.deepEqual(directory.decide(toWeb), passThrough);
  directory.sourceAnswers(true);
  t.is(directory.decide(toWeb).action, 'balance');
});

test('no endpoints, told by a control plane that is gone: there may be some by now', (t) => {
  const { directory } = directoryWith(slice([]));
  t.like(directory.decide(toWeb), { action: 'refuse', reason: 'no-endpoints' });
  directory.sourceAnswers(false);
  t.deepEqual(directory.decide(toWeb), passThrough);
  t.deepEqual(directory.decide({ ...toWeb, port: 81 }), { ...passThrough, port: 81 }, 'a port added since');
  directory.sourceAnswers(true);
  t.like(directory.decide(toWeb), { action: 'refuse', reason: 'no-endpoints' });
});

test('a table that nobody keeps up is used for five minutes, and again once somebody does', (t) => {
  const { directory, pass } = directoryWith(slice([endpoint]));
  directory.sourceAnswers(false);
  pass(299_999);
  t.is(directory.decide(toWeb).action, 'balance');
  directory.sourceAnswers(false);
  pass(1);
  t.deepEqual(directory.decide(toWeb), passThrough, 'counted from when it fell silent first');
  directory.sourceAnswers(true);
  t.is(directory.decide(toWeb).action, 'balance');
  pass(600_000);
  t.is(directory.decide(toWeb).action, 'balance');
  directory.close();
});

test('a table from disk may be wrong until a control plane answers, and is believed for five minutes', (t) => {
  const { directory, pass } = directoryFrom('disk', [slice([endpoint])]);
  t.is(directory.decide(toWeb).action, 'balance');
  t.deepEqual(directory.decide({ ...toWeb, port: 81 }), { ...passThrough, port: 81 });
  pass(300_000);
  t.deepEqual(directory.decide(toWeb), passThrough);
  directory.sourceAnswers(true);
  t.is(directory.decide(toWeb).action, 'balance');
  t.like(directory.decide({ ...toWeb, port: 81 }), { action: 'refuse', reason: 'unknown-port' });
  directory.close();
});

test('an upstream has no other way: the last good table stands', (t) => {
  const { directory, pass } = directoryWith(slice([endpoint]));
  directory.sourceAnswers(false);
  pass(86_399_000);
  t.false(directory.doubt(asUpstream));
  t.is(directory.decide(asUpstream).action, 'balance');
});

const incompleteSlice: Change = {
  kind: 'slice',
  slice: {
    key: 'demo/web/1',
    service: 'demo/web',
    family: 'ipv4',
    ports: [],
    endpoints: [],
    incomplete: true,
  },
  origin,
};

test('the completeness of a subscription follows what the stream has sent', (t) => {
  let table = emptyTable({ zone: '', node: '' });
  const completeness = (...changes: readonly Change[]) => {
    table = withChanges(table, changes);
    return [completenessOfServices(table), completenessOfEndpoints(table, 'demo/web')];
  };
  const none: ReadonlySet<string> = new Set();
  const all: ReadonlySet<string> = new Set(['demo/web']);
  t.deepEqual(completeness(), ['nothing', 'nothing']);
  t.deepEqual(completeness({ kind: 'endpoints-overdue', service: 'demo/web' }), ['nothing', 'overdue']);
  t.deepEqual(completeness({ kind: 'services-known' }, slice([endpoint])), ['some', 'some']);
  const whole = { services: true, endpoints: all, unreadable: none };
  t.deepEqual(completeness({ kind: 'extent', extent: whole }), ['all', 'all']);
  t.deepEqual(completeness({ kind: 'extent', extent: { ...whole, unreadable: all } }), ['all', 'readable']);
  t.deepEqual(completeness(incompleteSlice, { kind: 'extent', extent: whole }), ['all', 'readable']);
  t.deepEqual(completeness(slice([endpoint])), ['all', 'all']);
  t.deepEqual(completeness({ kind: 'extent', extent: whole }, { kind: 'freshness', freshness: 'stale' }), [
    'stale',
    'stale',
  ]);
  t.deepEqual(completeness({ kind: 'freshness', freshness: 'current' }), ['all', 'all']);
});
