import test from 'ava';
import { endpointOf, serviceOf } from '../../test/fixtures/mesh.ts';
import type { Change, Origin } from '../services/change.ts';
import type { Endpoint, Service } from '../services/service.ts';
import { emptyTable, type Table, withChanges } from '../services/table.ts';
import { Locator, type Place } from './locate.ts';

const origin: Origin = { version: '1', source: 'control-plane', sinceMs: 0 };
const KEY = 'demo/hello';
const NOBODY: ReadonlySet<string> = new Set();

const hello = serviceOf(KEY, {
  type: 'headless',
  ports: [{ name: 'web', port: 80, protocol: 'tcp', appProtocol: '' }],
});

function endpoint(address: string, fields: Partial<Endpoint> = {}): Endpoint {
  return endpointOf(address, { inMesh: true, ...fields });
}

function slice(...endpoints: readonly Endpoint[]): Change {
  const ports = [{ name: 'web', port: 8080, protocol: 'tcp' }] as const;
  return {
    kind: 'slice',
    slice: { key: `${KEY}/1`, service: KEY, family: 'ipv4', ports, endpoints },
    origin,
  };
}

function table(...changes: readonly Change[]): Table {
  return withChanges(emptyTable({ zone: '', node: '' }), [{ kind: 'services-known' }, ...changes]);
}

function service(fields: Partial<Service> = {}): Change {
  return { kind: 'service', service: { ...hello, ...fields }, origin };
}

function idsOf(place: Place): string[] {
  return place.at === 'elsewhere' ? place.group.candidates.map(({ id }) => id) : [place.at];
}

function groupOf(place: Place) {
  return place.at === 'elsewhere' ? place.group : undefined;
}

function failureOf(place: Place): string {
  return place.at === 'nowhere' ? `${place.answer.outcome}: ${place.answer.detail}` : place.at;
}

test('to the sidecars of ready endpoints, on the port of messages whatever ports the Service has', (t) => {
  const locator = new Locator(5054);
  const one = table(
    service(),
    slice(
      endpoint('10.0.0.1'),
      endpoint('10.0.0.2', { inMesh: false }),
      endpoint('10.0.0.3', { health: 'not-ready' }),
      endpoint('10.0.0.4'),
    ),
  );
  t.deepEqual(idsOf(locator.locate(one, KEY, NOBODY)), ['10.0.0.1:5054', '10.0.0.4:5054']);
  const other = withChanges(one, [{ kind: 'endpoints-empty', service: 'demo/other' }]);
  t.is(groupOf(locator.locate(other, KEY, NOBODY)), groupOf(locator.locate(one, KEY, NOBODY)));
});

test('here, where an address of this pod is one of its endpoints, ready or not', (t) => {
  const locator = new Locator(5054);
  const changes = [service(), slice(endpoint('10.0.0.1'), endpoint('10.0.0.2', { health: 'not-ready' }))];
  t.is(locator.locate(table(...changes), KEY, new Set(['10.0.0.2'])).at, 'here');
  t.is(locator.locate(table(...changes), KEY, new Set(['10.0.0.9'])).at, 'elsewhere');
});

test('whose endpoints these are is found out once for all messages, and again when they or the addresses change', (t) => {
  const locator = new Locator(5054);
  let looked = 0;
  class Addresses extends Set<string> {
    override has(address: string): boolean {
      looked++;
      return super.has(address);
    }
  }
  const endpoints = Array.from({ length: 100 }, (_, index) => endpoint(`10.0.0.${index}`));
  const one = table(service(), slice(...endpoints));
  const own = new Addresses(['10.0.1.1']);
  for (let message = 0; message < 10; message++) t.is(locator.locate(one, KEY, own).at, 'elsewhere');
  t.is(looked, 100);
  t.is(locator.locate(one, KEY, new Addresses(['10.0.0.99'])).at, 'here');
  const other = withChanges(one, [slice(endpoint('10.0.1.1'))]);
  t.is(locator.locate(other, KEY, own).at, 'here');
});

test('nowhere, each for its own reason', (t) => {
  const failure = (of: Table): string => failureOf(new Locator(5054).locate(of, KEY, NOBODY));
  t.regex(failure(table()), /^unknown-service: Service demo\/hello is not in the mesh/u);
  t.regex(
    failure(table(service({ type: 'external-name', externalName: 'a.test' }))),
    /^external-name: .* a\.test/u,
  );
  t.regex(failure(table(service({ type: 'other' }))), /^unknown-service: .* another proxy/u);
  t.is(failure(table(service())), 'not-told');
  t.is(failure(emptyTable({ zone: '', node: '' })), 'not-told');
  const overdue: Change = { kind: 'endpoints-overdue', service: KEY };
  t.regex(failure(table(service(), overdue)), /^not-ready: no control plane has told/u);
  const empty: Change = { kind: 'endpoints-empty', service: KEY };
  t.regex(failure(table(service(), empty)), /^no-endpoints: Service demo\/hello has no endpoints/u);
  const outside = slice(endpoint('10.0.0.1', { inMesh: false }));
  t.regex(failure(table(service(), outside)), /^no-endpoints: .* none has a sidecar/u);
  const notReady = slice(endpoint('10.0.0.1', { health: 'not-ready' }));
  t.regex(failure(table(service(), notReady)), /^no-endpoints: .* \(1\), and none is ready/u);
  const local = service({ internalTrafficPolicy: 'local' });
  t.regex(
    failure(table(local, slice(endpoint('10.0.0.1')))),
    /^no-endpoints: .*internalTrafficPolicy: Local/u,
  );
});
