import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { createXdsEngine } from '../../control-plane/xds/engine.ts';
import { XDS_SERVER_OPTIONS } from '../../control-plane/xds/server-options.ts';
import { AGGREGATED } from '../../control-plane/xds/services.ts';
import type { Resource } from '../../control-plane/xds/snapshot.ts';
import { EMPTY_SNAPSHOT, SnapshotCell, withChanges } from '../../control-plane/xds/snapshot.ts';
import { ENVOY_KINDS } from '../../examples/envoy-kinds.ts';
import type { Logger } from '../../process/log.ts';
import { until } from '../until.ts';
import { backendsResource, serviceResources } from './envoy-resources.ts';
import { greet } from './greeter.ts';

// gRPC's own xDS client, which speaks state of the world, finds its backends through our engine.

test('a gRPC call reaches its backend through the engine, and follows when the endpoint changes', async (t) => {
  const one = await backend(t, 'one');
  const other = await backend(t, 'other');
  const controlPlane = await serve(t, [...serviceResources('greeter'), backendsResource('greeter', [one])]);
  const client = startClient(t, controlPlane.port);

  t.deepEqual(await client.greet(), { answer: 'one' });

  controlPlane.publish(backendsResource('greeter', [other]));
  await client.greetUntil('other');
});

test('a service that appears later is pushed to a client that already waits for it', async (t) => {
  const port = await backend(t, 'late');
  const controlPlane = await serve(t, serviceResources('greeter'));
  const client = startClient(t, controlPlane.port);

  const greeted = client.greet();
  await controlPlane.asked('type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment');
  controlPlane.publish(backendsResource('greeter', [port]));
  t.deepEqual(await greeted, { answer: 'late' });
});

interface ControlPlane {
  readonly port: number;
  publish(resource: Resource): void;
  /** Resolves once a client has subscribed to the type. */
  asked(typeUrl: string): Promise<void>;
}

async function serve(t: ExecutionContext, resources: readonly Resource[]): Promise<ControlPlane> {
  const snapshots = new SnapshotCell(withChanges(EMPTY_SNAPSHOT, { upserts: resources, removals: [] }));
  const engine = createXdsEngine({ snapshots, logger: failOnWarning(t), ...ENVOY_KINDS });
  const server = new Server(XDS_SERVER_OPTIONS);
  engine.addTo(server, [AGGREGATED]);
  const port = await listen(server);
  t.teardown(() => {
    engine.close();
    server.forceShutdown();
  });
  return {
    port,
    publish: (resource) =>
      snapshots.replace(withChanges(snapshots.current, { upserts: [resource], removals: [] })),
    asked: async (typeUrl) => {
      await until(
        `a subscription to ${typeUrl}`,
        async () => [...engine.streams()].flatMap((stream) => stream.sessions),
        (sessions) => sessions.some((session) => session.typeUrl === typeUrl),
      );
    },
  };
}

async function backend(t: ExecutionContext, name: string): Promise<number> {
  const server = new Server();
  server.addService(
    { greet },
    { greet: (_: unknown, reply: (error: null, answer: string) => void) => reply(null, name) },
  );
  t.teardown(() => server.forceShutdown());
  return listen(server);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

class XdsClient {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  async greet(): Promise<unknown> {
    this.#child.stdin!.write('hello\n');
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error('the client ended without an answer');
    return JSON.parse(value);
  }

  /** Until then, calls may still be answered from where they went before; none may fail. */
  async greetUntil(name: string): Promise<void> {
    for (;;) {
      const { answer, error } = (await this.greet()) as { answer?: string; error?: string };
      if (error !== undefined) throw new Error(error);
      if (answer === name) return;
    }
  }
}

function startClient(t: ExecutionContext, controlPlanePort: number): XdsClient {
  const bootstrap = {
    xds_servers: [
      {
        server_uri: `127.0.0.1:${controlPlanePort}`,
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    node: { id: 'interop', locality: {} },
  };
  const child = spawn(process.execPath, [join(import.meta.dirname, 'grpc-js-xds-client.ts')], {
    env: {
      ...process.env,
      GRPC_XDS_BOOTSTRAP: undefined,
      GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap),
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.teardown(async () => {
    child.stdin.end();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  return new XdsClient(child);
}

/** The client must have nothing to reject, nor the engine. */
function failOnWarning(t: ExecutionContext): Logger {
  const fail = (message: string, fields?: object) => t.fail(`${message} ${JSON.stringify(fields)}`);
  const logger: Logger = {
    error: fail,
    warn: fail,
    info: () => {},
    debug: () => {},
    isEnabled: () => false,
    with: () => logger,
  };
  return logger;
}
