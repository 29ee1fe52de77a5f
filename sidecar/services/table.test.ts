import test from 'ava';
import * as fc from 'fast-check';
import { serviceOf } from '../../test/fixtures/mesh.ts';
import type { Change, Origin } from './change.ts';
import type { Endpoint, EndpointSlice, Service } from './service.ts';
import type { Table } from './table.ts';
import { emptyTable, isTold, withChanges } from './table.ts';

const ORIGIN: Origin = { version: '1', source: 'control-plane', sinceMs: 0 };
const HERE = { zone: 'a', node: 'n1' };

function service(key: string, clusterIps: readonly string[] = []): Service {
  return serviceOf(key, { clusterIps });
}

function slice(key: string, endpoints: readonly Endpoint[] = []): EndpointSlice {
  return { key, service: key.slice(0, key.lastIndexOf('/')), family: 'ipv4', ports: [], endpoints };
}

test('what was not touched is shared with the table before', (t) => {
  const one = withChanges(emptyTable(HERE), [
    { kind: 'services-known' },
    { kind: 'service', service: service('demo/a', ['10.0.0.1']), origin: ORIGIN },
    { kind: 'slice', slice: slice('demo/a/1'), origin: ORIGIN },
    { kind: 'slice', slice: slice('demo/b/1'), origin: ORIGIN },
  ]);
  const two = withChanges(one, [{ kind: 'slice', slice: slice('demo/b/2'), origin: ORIGIN }]);
  t.is(two.services, one.services);
  t.is(two.serviceByClusterIp, one.serviceByClusterIp);
  t.is(two.endpoints.get('demo/a'), one.endpoints.get('demo/a'));
  t.deepEqual([...(two.endpoints.get('demo/b')?.slices.keys() ?? [])], ['demo/b/1', 'demo/b/2']);
  t.deepEqual(
    [...(one.endpoints.get('demo/b')?.slices.keys() ?? [])],
    ['demo/b/1'],
    'the earlier table stands',
  );
});

test('changes that change nothing give the same table', (t) => {
  const table = withChanges(emptyTable(HERE), [{ kind: 'services-known' }]);
  t.is(
    withChanges(table, [
      { kind: 'services-known' },
      { kind: 'service-removed', service: 'demo/none' },
      { kind: 'endpoints-forgotten', service: 'demo/none' },
    ]),
    table,
  );
});

test('a Service without endpoints is told, one never heard of is not', (t) => {
  const empty = withChanges(emptyTable(HERE), [
    { kind: 'services-known' },
    { kind: 'endpoints-empty', service: 'demo/a' },
  ]);
  t.true(isTold(empty, 'demo/a'));
  t.false(isTold(empty, 'demo/b'));
  const overdue = withChanges(empty, [{ kind: 'endpoints-overdue', service: 'demo/b' }]);
  t.true(isTold(overdue, 'demo/b'));
  t.false(overdue.endpoints.has('demo/b'));
  const forgotten = withChanges(overdue, [
    { kind: 'endpoints-forgotten', service: 'demo/a' },
    { kind: 'endpoints-forgotten', service: 'demo/b' },
  ]);
  t.false(isTold(forgotten, 'demo/a') || isTold(forgotten, 'demo/b'));
});

test('a cluster IP that moves from one Service to another within one change is found', (t) => {
  const before = withChanges(emptyTable(HERE), [
    { kind: 'service', service: service('demo/old', ['10.0.0.1']), origin: ORIGIN },
  ]);
  const after = withChanges(before, [
    { kind: 'service', service: service('demo/new', ['10.0.0.1', 'fd00::1']), origin: ORIGIN },
    { kind: 'service-removed', service: 'demo/old' },
  ]);
  t.deepEqual(Object.fromEntries(after.serviceByClusterIp), {
    '10.0.0.1': 'demo/new',
    'fd00::1': 'demo/new',
  });
});

test('the zone is that of the node while that is known, and a zone that was given stays', (t) => {
  const start = emptyTable({ zone: '', node: 'n1' });
  const unknown: Change = { kind: 'node-unknown' };
  const node: Change = { kind: 'node', node: { name: 'n1', zone: 'b' }, origin: ORIGIN };
  t.is(withChanges(start, [unknown]), start);
  const placed = withChanges(start, [unknown, node]);
  t.deepEqual(placed.locality, { zone: 'b', node: 'n1' });
  t.deepEqual(placed.node, { node: { name: 'n1', zone: 'b' }, origin: ORIGIN });
  t.is(withChanges(placed, [node]).locality, placed.locality, 'the same object for the same place');
  t.is(withChanges(placed, [{ kind: 'services-known' }]).locality, placed.locality);
  t.deepEqual(withChanges(placed, [unknown]).locality, { zone: '', node: 'n1' });
  const given = emptyTable(HERE);
  t.is(withChanges(given, [unknown, { kind: 'services-known' }]).locality, given.locality);
});

const keys = fc.constantFrom('demo/a', 'demo/b', 'other/a');
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.constant<Change>({ kind: 'node-unknown' }),
  fc
    .constantFrom('a', 'b', '')
    .map((zone): Change => ({ kind: 'node', node: { name: 'n1', zone }, origin: ORIGIN })),
  fc.constant<Change>({ kind: 'services-known' }),
  fc
    .tuple(keys, fc.subarray(['10.0.0.1', '10.0.0.2', 'fd00::1']))
    .map(([key, ips]): Change => ({ kind: 'service', service: service(key, ips), origin: ORIGIN })),
  keys.map((key): Change => ({ kind: 'service-removed', service: key })),
  fc
    .tuple(keys, fc.constantFrom('1', '2'))
    .map(([key, name]): Change => ({ kind: 'slice', slice: slice(`${key}/${name}`), origin: ORIGIN })),
  fc
    .tuple(keys, fc.constantFrom('1', '2'))
    .map(([key, name]): Change => ({ kind: 'slice-removed', service: key, slice: `${key}/${name}` })),
  keys.map((key): Change => ({ kind: 'endpoints-empty', service: key })),
  keys.map((key): Change => ({ kind: 'endpoints-overdue', service: key })),
  keys.map((key): Change => ({ kind: 'endpoints-forgotten', service: key })),
);

function plain(table: Table): unknown {
  return {
    locality: table.locality,
    node: table.node?.node,
    known: table.servicesKnown,
    services: Object.fromEntries(
      [...table.services].map(
        ([
          key,
          {
            service: { clusterIps },
          },
        ]) => [key, clusterIps],
      ),
    ),
    endpoints: Object.fromEntries(
      [...table.endpoints].map(([key, { slices }]) => [key, [...slices.keys()].toSorted()]),
    ),
    overdue: [...table.overdue].toSorted(),
    addresses: [...table.serviceByClusterIp.keys()].toSorted(),
  };
}

test('many changes at once come to the same as one after another', (t) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const start = emptyTable({ zone: '', node: 'n1' });
      const before = plain(start);
      const together = withChanges(start, changes);
      let stepwise = start;
      for (const one of changes) {
        stepwise = withChanges(stepwise, [one]);
      }
      t.deepEqual(plain(together), plain(stepwise));
      t.deepEqual(plain(start), before);
      t.is(together.locality.zone, together.node?.node.zone ?? '');
      for (const [address, key] of together.serviceByClusterIp) {
        t.true(together.services.get(key)?.service.clusterIps.includes(address));
      }
    }),
  );
});
