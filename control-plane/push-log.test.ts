import test from 'ava';
import { Mesh } from './mesh/mesh.ts';
import { PushLog } from './push-log.ts';
import { SnapshotCell } from './xds/snapshot.ts';

function service(name: string): unknown {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'demo' },
    spec: { ports: [{ port: 80 }] },
  };
}

function slice(name: string, ready: readonly boolean[]): unknown {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace: 'demo', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ port: 8080 }],
    endpoints: ready.map((each, at) => ({ addresses: [`10.0.0.${at + 1}`], conditions: { ready: each } })),
  };
}

/** A mesh that publishes at once, a log of lines, and a clock that a test moves. */
function logged() {
  const snapshots = new SnapshotCell();
  let at = 0;
  const timers = new Set<{ readonly due: number; readonly run: () => void }>();
  const clock = {
    now: () => at,
    after: (milliseconds: number, run: () => void) => {
      const timer = { due: at + milliseconds, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const pass = (milliseconds: number): void => {
    at += milliseconds;
    for (const timer of [...timers].filter(({ due }) => due <= at)) {
      timers.delete(timer);
      timer.run();
    }
  };
  const mesh = new Mesh({ snapshots, clock, window: { quietMs: 0, longestMs: 0 } });
  const lines: unknown[] = [];
  const info = (message: string, fields: unknown): number => lines.push({ message, fields });
  const log = new PushLog({ snapshots, mesh, counters: { streams: 3 }, clock, logger: { info } });
  const put = (...objects: readonly unknown[]): void => {
    mesh.apply(objects.map((object) => ({ type: 'upsert', object })));
    pass(0);
  };
  mesh.synced();
  return { lines, log, put, pass };
}

test('given an edit, logs which Service changed, its ready endpoints and to how many sidecars', (t) => {
  const { lines, put, pass } = logged();
  put(service('hello'), slice('hello', [true, true]));
  pass(60_000);
  put(slice('hello', [true, false]));
  put(slice('hello', [true, false]));
  pass(60_000);
  t.deepEqual(lines, [
    { message: 'Pushed', fields: { services: ['demo/hello'], readyEndpoints: 2, sidecars: 3 } },
    { message: 'Pushed', fields: { services: ['demo/hello'], readyEndpoints: 1, sidecars: 3 } },
  ]);
});

test('given 10,000 changes in 10 s, writes three lines, and the last has all that was left', (t) => {
  const { lines, log, put, pass } = logged();
  for (let at = 0; at < 10_000; at += 1) {
    put(service(`s${at}`));
    pass(1);
  }
  log.close();
  t.is(lines.length, 3);
  const names = ['demo/s5000', 'demo/s5001', 'demo/s5002', 'demo/s5003', 'demo/s5004'];
  t.deepEqual(lines.at(-1), {
    message: 'Pushed',
    fields: { services: names, servicesChanged: 5_000, readyEndpoints: 0, sidecars: 3 },
  });
});

test('given a Node, logs its name and no Services', (t) => {
  const { lines, put } = logged();
  put({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'a', labels: { 'topology.kubernetes.io/zone': 'eu-1' } },
  });
  t.deepEqual(lines, [{ message: 'Pushed', fields: { nodes: ['a'], sidecars: 3 } }]);
});
