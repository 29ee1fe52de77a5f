import test from 'ava';
import { array, assert, constantFrom, oneof, property, record } from 'fast-check';
import type { KubernetesObject } from '../../api-server/api-server.ts';
import type { MeshEvent } from '../mesh/state.ts';
import { KnownObjects } from './known-objects.ts';

function service(name: string): KubernetesObject {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'demo' } };
}

function names(events: readonly MeshEvent[]): readonly string[] {
  return events.map((event) =>
    event.type === 'delete' ? `-${event.name}` : `+${(event.object as KubernetesObject).metadata.name}`,
  );
}

test('a list deletes what is missing from it, and tells all the rest again', (t) => {
  const known = new KnownObjects('Service');
  t.deepEqual(names(known.replaced([service('a'), service('b')])), ['+a', '+b']);
  t.deepEqual(names(known.changed(service('c'))), ['+c']);
  t.deepEqual(names(known.deleted(service('a'))), ['-a']);
  t.deepEqual(names(known.replaced([service('c'), service('d')])), ['-b', '+c', '+d']);
  t.is(known.size, 2);
});

test('deletions name the object as the mesh knows it', (t) => {
  const services = new KnownObjects('Service');
  services.changed(service('a'));
  t.deepEqual(services.replaced([]), [{ type: 'delete', kind: 'Service', namespace: 'demo', name: 'a' }]);
  const nodes = new KnownObjects('Node');
  nodes.changed({ metadata: { name: 'node-a.example' } });
  t.deepEqual(nodes.replaced([]), [{ type: 'delete', kind: 'Node', name: 'node-a.example' }]);
});

test('whatever was told in whatever order, events add up to what there is', (t) => {
  const name = constantFrom('a', 'b', 'c', 'd');
  const step = oneof(
    record({ told: constantFrom('changed', 'deleted'), name }),
    record({ told: constantFrom('replaced'), names: array(name, { maxLength: 4 }) }),
  );
  assert(
    property(array(step), (steps) => {
      const known = new KnownObjects('Service');
      const [expected, told] = [new Set<string>(), new Set<string>()];
      const take = (events: readonly MeshEvent[]): void => {
        for (const sign of names(events)) {
          if (sign.startsWith('+')) told.add(sign.slice(1));
          else told.delete(sign.slice(1));
        }
      };
      for (const one of steps) {
        if ('names' in one) {
          expected.clear();
          for (const each of one.names) expected.add(each);
          take(known.replaced(one.names.map(service)));
        } else if (one.told === 'changed') {
          expected.add(one.name);
          take(known.changed(service(one.name)));
        } else {
          expected.delete(one.name);
          take(known.deleted(service(one.name)));
        }
        t.deepEqual([...told].toSorted(), [...expected].toSorted());
        t.is(known.size, expected.size);
      }
    }),
  );
});
