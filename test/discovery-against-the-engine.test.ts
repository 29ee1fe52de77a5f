import { create, toBinary } from '@bufbuild/protobuf';
import { credentials, Server, ServerCredentials } from '@grpc/grpc-js';
import test from 'ava';
import * as fc from 'fast-check';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { XdsEngine } from '../control-plane/xds/engine.ts';
import { createXdsEngine } from '../control-plane/xds/engine.ts';
import { allResources } from '../control-plane/xds/resource-set.ts';
import { AGGREGATED } from '../control-plane/xds/services.ts';
import { createResource, SnapshotCell, withChanges } from '../control-plane/xds/snapshot.ts';
import type { Resource } from '../control-plane/xds/snapshot.ts';
import { EndpointsSchema } from '../gen/cortexflow/mesh/v1/endpoints_pb.ts';
import { IpFamily } from '../gen/cortexflow/mesh/v1/network_pb.ts';
import { NodeSchema } from '../gen/cortexflow/mesh/v1/node_pb.ts';
import { ServiceSchema, ServiceType } from '../gen/cortexflow/mesh/v1/service_pb.ts';
import type { Logger } from '../process/log.ts';
import type { Lease } from '../sidecar/services/decision.ts';
import type { Schedule } from '../sidecar/services/interest.ts';
import { Discovery } from '../sidecar/xds/discovery.ts';
import {
  ENDPOINTS_TYPE_URL,
  NODE_TYPE_URL,
  RESOURCE_ORDER,
  SERVICE_TYPE_URL,
} from '../wire/resource-kinds.ts';
import { until } from './until.ts';

const quiet: Logger = {
  error: () => undefined,
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
  isEnabled: () => false,
  with: () => quiet,
};

const folder = await mkdtemp(join(tmpdir(), 'cortexflow-engine-'));
test.after.always(() => rm(folder, { recursive: true }));

const SERVICES = ['demo/a', 'demo/b', 'other/a'];
const OWN_NODE = 'node-a';
const NODES = [OWN_NODE, 'node-b'];
const SLICES = SERVICES.flatMap((name) => [`${name}/1`, `${name}/2`]);

function service(name: string, edition: number): Resource {
  const [namespace = '', own = ''] = name.split('/');
  const message = { namespace, name: own, type: ServiceType.CLUSTER_IP, clusterIps: [`10.0.0.${edition}`] };
  return createResource(SERVICE_TYPE_URL, name, toBinary(ServiceSchema, create(ServiceSchema, message)));
}

function node(name: string, edition: number): Resource {
  const zone = `zone-${edition}`;
  return createResource(NODE_TYPE_URL, name, toBinary(NodeSchema, create(NodeSchema, { name, zone })));
}

function slice(name: string, edition: number): Resource {
  const [namespace = '', own = '', part = ''] = name.split('/');
  const endpoints = [{ address: `10.1.0.${edition}` }];
  const message = { namespace, service: own, slice: part, ipFamily: IpFamily.IPV4, endpoints };
  return createResource(
    ENDPOINTS_TYPE_URL,
    name,
    toBinary(EndpointsSchema, create(EndpointsSchema, message)),
  );
}

/** A control plane that can be killed and started again at its address. */
class ControlPlane {
  readonly snapshots = new SnapshotCell();
  #server: Server | undefined;
  #engine: XdsEngine | undefined;
  #address = '127.0.0.1:0';

  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    const server = new Server();
    const engine = createXdsEngine({ snapshots: this.snapshots, logger: quiet, order: RESOURCE_ORDER });
    engine.addTo(server, [AGGREGATED]);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(this.#address, ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) {
          resolve(bound);
        } else {
          reject(error);
        }
      });
    });
    this.#address = `127.0.0.1:${port}`;
    this.#server = server;
    this.#engine = engine;
  }

  kill(): void {
    this.#engine?.close();
    this.#server?.forceShutdown();
  }

  put(resource: Resource): void {
    this.snapshots.replace(withChanges(this.snapshots.current, { upserts: [resource], removals: [] }));
  }

  remove(typeUrl: string, name: string): void {
    this.snapshots.replace(
      withChanges(this.snapshots.current, { upserts: [], removals: [{ typeUrl, name }] }),
    );
  }
}

const noTimerEverFires: Schedule = () => () => undefined;

const onTime: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => {
    clearTimeout(timer);
  };
};

function newSidecar(address: string, lastGoodFile: string, schedule = onTime): Discovery {
  return new Discovery({
    node: { id: 'me', cluster: '', zone: '', nodeName: OWN_NODE, namespace: '' },
    addresses: [address],
    credentials: credentials.createInsecure(),
    pinned: ['demo/a'],
    lastGoodFile,
    endpointsIdleMs: 1,
    waitMs: 10_000,
    log: quiet,
    world: {
      now: Date.now,
      random: () => 0,
      schedule,
    },
  });
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const edition = fc.integer({ min: 1, max: 5 });
const step = fc.oneof(
  fc.record({ do: fc.constant('service' as const), name: fc.constantFrom(...SERVICES), edition }),
  fc.record({ do: fc.constant('slice' as const), name: fc.constantFrom(...SLICES), edition }),
  fc.record({ do: fc.constant('node' as const), name: fc.constantFrom(...NODES), edition }),
  fc.record({ do: fc.constant('remove node' as const), name: fc.constantFrom(...NODES) }),
  fc.record({ do: fc.constant('remove service' as const), name: fc.constantFrom(...SERVICES) }),
  fc.record({ do: fc.constant('remove slice' as const), name: fc.constantFrom(...SLICES) }),
  fc.record({ do: fc.constantFrom('use' as const, 'release' as const), name: fc.constantFrom(...SERVICES) }),
  fc.record({ do: fc.constantFrom('kill control plane' as const, 'restart sidecar' as const) }),
  fc.record({ do: fc.constant('pause' as const), ms: fc.nat(8) }),
);

test('a sidecar that is told the whole mesh in parts knows the last of them, without waiting', async (t) => {
  const controlPlane = new ControlPlane();
  const upserts = Array.from({ length: 5000 }, (_, index) => service(`demo/s${index}`, 1));
  controlPlane.snapshots.replace(withChanges(controlPlane.snapshots.current, { upserts, removals: [] }));
  await controlPlane.start();
  const sidecar = newSidecar(controlPlane.address, join(folder, 'whole'), noTimerEverFires);
  const seen: (readonly [services: number, known: boolean])[] = [];
  sidecar.directory.onTable(({ services, servicesKnown }) => seen.push([services.size, servicesKnown]));
  await sidecar.start();
  await until('the Services are known', () => sidecar.directory.table.servicesKnown, Boolean);
  const parts = seen.findIndex(([, known]) => known);
  t.true(parts > 0, 'it came in parts');
  t.deepEqual(seen[parts], [upserts.length, true]);
  await sidecar.stop();
  controlPlane.kill();
});

let runs = 0;

test('whatever changes, dies and restarts, the sidecar ends with what the control plane has', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40 }), async (steps) => {
      runs += 1;
      const lastGoodFile = join(folder, `run-${runs}`);
      const controlPlane = new ControlPlane();
      await controlPlane.start();
      let sidecar = newSidecar(controlPlane.address, lastGoodFile);
      await sidecar.start();
      let leases = new Map<string, Lease>();
      const use = (name: string): void => {
        leases.set(name, leases.get(name) ?? sidecar.directory.use(name));
      };

      for (const one of steps) {
        switch (one.do) {
          case 'service':
            controlPlane.put(service(one.name, one.edition));
            break;
          case 'slice':
            controlPlane.put(slice(one.name, one.edition));
            break;
          case 'node':
            controlPlane.put(node(one.name, one.edition));
            break;
          case 'remove node':
            controlPlane.remove(NODE_TYPE_URL, one.name);
            break;
          case 'remove service':
            controlPlane.remove(SERVICE_TYPE_URL, one.name);
            break;
          case 'remove slice':
            controlPlane.remove(ENDPOINTS_TYPE_URL, one.name);
            break;
          case 'use':
            use(one.name);
            break;
          case 'release':
            leases.get(one.name)?.release();
            leases.delete(one.name);
            break;
          case 'kill control plane':
            controlPlane.kill();
            await controlPlane.start();
            break;
          case 'restart sidecar': {
            const used = [...leases.keys()];
            await sidecar.stop();
            sidecar = newSidecar(controlPlane.address, lastGoodFile);
            await sidecar.start();
            leases = new Map();
            used.forEach(use);
            break;
          }
          case 'pause':
            await pause(one.ms);
            break;
        }
      }

      const ownNode = (): [string, string][] => {
        const { locality, node: entry } = sidecar.directory.table;
        t.is(locality.zone, entry?.node.zone ?? '');
        return entry === undefined ? [] : [[entry.node.name, entry.origin.version]];
      };
      const held = (): Record<string, string> =>
        Object.fromEntries([
          ...ownNode(),
          ...[...sidecar.directory.table.services].map(
            ([name, { origin }]) => [name, origin.version] as const,
          ),
          ...[...sidecar.directory.table.endpoints.values()].flatMap(({ slices }) =>
            [...slices].map(([name, { origin }]) => [name, origin.version] as const),
          ),
        ]);
      const expected = (): Record<string, string> => {
        const used = ['demo/a', ...leases.keys()];
        const resources = controlPlane.snapshots.current.types.values().flatMap(allResources);
        const wanted = [...resources].filter(
          ({ typeUrl, name }) =>
            typeUrl === SERVICE_TYPE_URL ||
            name === OWN_NODE ||
            used.some((one) => name.startsWith(`${one}/`)),
        );
        return Object.fromEntries(wanted.map(({ name, version }) => [name, version]));
      };
      await until(
        'the sidecar holds what the control plane has',
        () => ({ ready: sidecar.directory.ready, held: held(), expected: expected() }),
        (now) => now.ready && isSame(now.held, now.expected),
      );
      await Promise.all([...leases.values()].map(({ known }) => known));
      await sidecar.stop();
      controlPlane.kill();
      t.pass();
    }),
    { numRuns: 25 },
  );
});

function isSame(one: Record<string, string>, other: Record<string, string>): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
