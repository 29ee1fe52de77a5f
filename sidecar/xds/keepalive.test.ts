import { once } from 'node:events';
import { constants, createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { create } from '@bufbuild/protobuf';
import { credentials } from '@grpc/grpc-js';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { NodeSchema } from '../../gen/envoy/config/core/v3/base_pb.ts';
import { schedule } from '../../process/schedule.ts';
import { until } from '../../test/until.ts';
import { recordingLogger } from '../../test/xds/serve.ts';
import type { LogLine } from '../../test/xds/serve.ts';
import { ControlPlaneClient } from './client.ts';
import { Keepalive } from './keepalive.ts';
import { resourceKinds } from './resource-kind.ts';
import { Session } from './session.ts';

const FIRST_MS = 50;
const LONGEST_MS = 3_600_000;

interface Server {
  readonly address: string;
  connections: number;
  /** On the connection that is open now. */
  pings: number;
}

/** Speaks HTTP/2 as far as it takes: streams stay open, and the first connections are sent away. */
async function serve(t: ExecutionContext, sendAway: number, opaqueData: string): Promise<Server> {
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer();
  server.on('session', (session) => {
    sessions.add(session);
    served.connections += 1;
    served.pings = 0;
    const isSentAway = served.connections <= sendAway;
    session.on('error', () => {});
    session.on('ping', () => (served.pings += 1));
    session.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      if (!isSentAway) return;
      session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, 0, Buffer.from(opaqueData));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const served: Server = {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: 0,
    pings: 0,
  };
  t.teardown(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return served;
}

function connect(t: ExecutionContext, addresses: readonly string[]): LogLine[] {
  const log: LogLine[] = [];
  const client = new ControlPlaneClient({
    addresses,
    credentials: credentials.createInsecure(),
    session: new Session({
      kinds: resourceKinds(undefined),
      node: create(NodeSchema, { id: 'me' }),
      keepsBytes: false,
    }),
    log: recordingLogger(log),
    schedule,
    now: Date.now,
    // Connects again at once.
    random: () => 0,
    onReceived: () => {},
    onConnection: () => {},
    onAnswering: () => {},
    keepalive: new Keepalive(FIRST_MS, LONGEST_MS),
  });
  client.start();
  t.teardown(() => client.stop());
  return log;
}

test('given a server that finds too many pings, pings it less on all later connections', async (t) => {
  const calm = await serve(t, 0, '');
  const strict = await serve(t, 8, 'too_many_pings');
  const log = connect(t, [strict.address]);
  await until(
    'the client stays connected to the strict server',
    () => strict.connections,
    (connections) => connections === 9,
  );
  t.deepEqual(
    log
      .filter(({ message }) => message === 'Lowered the rate of keepalive pings')
      .map(({ level, fields }) => [level, fields['address'], fields['pingEveryMs']]),
    [100, 200, 400, 800, 1600, 3200, 6400, 12_800].map((ms) => ['warn', strict.address, ms]),
  );
  // One client measures for the other: it pings at the rate with which both began.
  connect(t, [calm.address]);
  await until(
    'the other client sent 40 pings',
    () => calm.pings,
    (pings) => pings >= 40,
  );
  t.true(strict.pings <= 10, `${strict.pings} pings`);
  t.is(strict.connections, 9);
  t.is(calm.connections, 1);
});

test('halves the rate for one address, down to a limit', (t) => {
  const keepalive = new Keepalive(50, 150);
  t.is(keepalive.intervalMs('one'), 50);
  t.is(keepalive.pingLess('one'), 100);
  t.is(keepalive.pingLess('one'), 150);
  t.is(keepalive.intervalMs('one'), 150);
  t.is(keepalive.intervalMs('other'), 50);
});
