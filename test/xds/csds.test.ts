import test from 'ava';
import type { ExecutionContext } from 'ava';
import { create, toBinary } from '@bufbuild/protobuf';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { Client, credentials } from '@grpc/grpc-js';
import { ClientResourceStatus } from '../../gen/envoy/admin/v3/config_dump_shared_pb.ts';
import {
  ClientStatusDiscoveryService,
  ClientStatusRequestSchema,
  ClientStatusResponseSchema,
  ConfigStatus,
} from '../../gen/envoy/service/status/v3/csds_pb.ts';
import type { ClientConfig, ClientStatusResponse } from '../../gen/envoy/service/status/v3/csds_pb.ts';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import { messageCodec, methodPath } from '../../wire/grpc-service.ts';
import { addClientStatus } from '../../control-plane/xds/csds.ts';
import { deltaStream, TestStream } from './client.ts';
import type { DeltaStream } from './client.ts';
import { serve } from './serve.ts';
import type { Serving } from './serve.ts';

const T = 'type.googleapis.com/example.Thing';
type Init = MessageInitShape<typeof ClientStatusRequestSchema>;

async function serveWithStatus(t: ExecutionContext): Promise<Serving> {
  const serving = await serve();
  t.teardown(() => serving.stop());
  addClientStatus(serving.server, serving.engine);
  return serving;
}

async function fetchStatus(serving: Serving, init: Init = {}): Promise<ClientConfig[]> {
  const client = new Client(serving.address, credentials.createInsecure());
  const request = messageCodec(ClientStatusRequestSchema);
  const response = messageCodec(ClientStatusResponseSchema);
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        methodPath(ClientStatusDiscoveryService.method.fetchClientStatus),
        request.encode,
        response.decode,
        create(ClientStatusRequestSchema, init),
        (error, value?: ClientStatusResponse) => {
          if (error === null) resolve(value?.config ?? []);
          else reject(error);
        },
      );
    });
  } finally {
    client.close();
  }
}

function keyOf(values: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(values).find((key) => values[key] === value) ?? `${value}`;
}

function nodeId(
  pattern: 'exact' | 'prefix' | 'suffix' | 'contains',
  value: string,
  ignoreCase = false,
): Init {
  return { nodeMatchers: [{ nodeId: { matchPattern: { case: pattern, value }, ignoreCase } }] };
}

/** `name: config status, client status, version (rejected version: reason)`, versions by what they stand for. */
function summary(config: ClientConfig | undefined, versions: ReadonlyMap<string, string>): string[] {
  const label = (version: string): string => versions.get(version) ?? version;
  return (config?.genericXdsConfigs ?? [])
    .map((one) => {
      const failure = one.errorState;
      const rejected = failure === undefined ? '' : ` (${label(failure.versionInfo)}: ${failure.details})`;
      const states = `${keyOf(ConfigStatus, one.configStatus)} ${keyOf(ClientResourceStatus, one.clientStatus)}`;
      return `${one.name}: ${states} ${label(one.versionInfo)}${rejected}`.trim();
    })
    .toSorted();
}

/** Takes the next response and learns what its versions stand for. */
async function take(stream: DeltaStream, versions: Map<string, string>): Promise<string> {
  const response = await stream.next();
  for (const { version, resource } of response.resources) {
    versions.set(version, Buffer.from(resource?.value ?? []).toString());
  }
  return response.nonce;
}

/** The server has handled all that this stream sent so far. */
async function settled(stream: DeltaStream): Promise<void> {
  stream.send({ typeUrl: 'type.googleapis.com/example.Settled', resourceNamesSubscribe: ['x'] });
  await stream.next();
}

for (const subscription of [['*'], ['a', 'b', 'c'], ['n/s/*']]) {
  const prefix = subscription[0] === 'n/s/*' ? 'n/s/' : '';
  test(`tells sent, acknowledged and rejected apart: ${subscription.join(' ')}`, async (t) => {
    const serving = await serveWithStatus(t);
    const stream = deltaStream(serving.address);
    t.teardown(() => stream.close());
    const versions = new Map<string, string>();
    const status = async (): Promise<string[]> => {
      const [config] = await fetchStatus(serving);
      return summary(config, versions).filter((line) => !line.startsWith('x:'));
    };
    const put = (entries: Record<string, string | undefined>): void =>
      serving.resources.put(
        T,
        Object.fromEntries(Object.entries(entries).map(([name, text]) => [prefix + name, text])),
      );
    put({ a: 'a1', b: 'b1', c: 'c1' });
    stream.send({ typeUrl: T, node: { id: 'sidecar-1' }, resourceNamesSubscribe: subscription });
    const first = await take(stream, versions);
    t.deepEqual(await status(), [
      `${prefix}a: STALE REQUESTED a1`,
      `${prefix}b: STALE REQUESTED b1`,
      `${prefix}c: STALE REQUESTED c1`,
    ]);
    stream.send({ typeUrl: T, responseNonce: first });
    await settled(stream);
    t.deepEqual(await status(), [
      `${prefix}a: SYNCED ACKED a1`,
      `${prefix}b: SYNCED ACKED b1`,
      `${prefix}c: SYNCED ACKED c1`,
    ]);
    put({ a: 'a2', b: 'b2', c: 'c2' });
    const second = await take(stream, versions);
    const violations = { fieldViolations: [{ field: `${prefix}b`, description: 'port 0' }] };
    stream.send({
      typeUrl: T,
      responseNonce: second,
      errorDetail: {
        code: 3,
        message: 'one of three',
        details: [anyPack(BadRequestSchema, create(BadRequestSchema, violations))],
      },
    });
    await settled(stream);
    const afterRejection = [
      `${prefix}a: SYNCED ACKED a2`,
      `${prefix}b: ERROR NACKED b1 (b2: port 0)`,
      `${prefix}c: SYNCED ACKED c2`,
    ];
    t.deepEqual(await status(), afterRejection);
    put({ b: 'b3' });
    const third = await take(stream, versions);
    stream.send({
      typeUrl: T,
      responseNonce: third,
      errorDetail: { code: 3, message: `${prefix}b: still bad` },
    });
    await settled(stream);
    t.deepEqual((await status())[1], `${prefix}b: ERROR NACKED b1 (b3: ${prefix}b: still bad)`);
    put({ b: 'b4' });
    const fourth = await take(stream, versions);
    stream.send({ typeUrl: T, responseNonce: fourth });
    await settled(stream);
    t.deepEqual((await status())[1], `${prefix}b: SYNCED ACKED b4`);
  });
}

test('given an error without details, marks what it mentions as rejected, else all, and nothing as accepted', async (t) => {
  const serving = await serveWithStatus(t);
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  const versions = new Map<string, string>();
  serving.resources.put(T, { 'n/a': '1', 'n/a-2': '2' });
  stream.send({ typeUrl: T });
  const first = await take(stream, versions);
  stream.send({ typeUrl: T, responseNonce: first, errorDetail: { code: 3, message: 'bad: n/a-2.' } });
  await settled(stream);
  const lines = async (): Promise<string[]> =>
    summary((await fetchStatus(serving))[0], versions).filter((line) => !line.startsWith('x:'));
  t.deepEqual(await lines(), ['n/a-2: ERROR NACKED  (2: bad: n/a-2.)', 'n/a: STALE REQUESTED 1']);
  serving.resources.put(T, { 'n/a': '3', 'n/a-2': '4' });
  const second = await take(stream, versions);
  stream.send({ typeUrl: T, responseNonce: second, errorDetail: { code: 3, message: 'all bad' } });
  await settled(stream);
  t.deepEqual(await lines(), ['n/a-2: ERROR NACKED  (4: all bad)', 'n/a: ERROR NACKED  (3: all bad)']);
});

test('a name that stands for nothing is told as such', async (t) => {
  const serving = await serveWithStatus(t);
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T, resourceNamesSubscribe: ['gone', 'n/s/*'] });
  const { nonce } = await stream.next();
  const lines = async (): Promise<string[]> => summary((await fetchStatus(serving))[0], new Map());
  t.deepEqual(await lines(), ['gone: STALE DOES_NOT_EXIST', 'n/s/*: STALE DOES_NOT_EXIST']);
  stream.send({ typeUrl: T, responseNonce: nonce });
  await settled(stream);
  t.true((await lines()).includes('gone: SYNCED DOES_NOT_EXIST'));
});

test('contents are left out when asked to, and nodes are selected', async (t) => {
  const serving = await serveWithStatus(t);
  serving.resources.put(T, { a: 'content' });
  const streams = ['web-1', 'web-2', 'db-1'].map((id) => {
    const stream = deltaStream(serving.address);
    t.teardown(() => stream.close());
    stream.send({ typeUrl: T, node: { id } });
    return stream;
  });
  await Promise.all(streams.map((stream) => stream.next()));
  const idsOf = async (init: Init): Promise<string[]> =>
    (await fetchStatus(serving, init)).map(({ node }) => node?.id ?? '').toSorted();
  t.deepEqual(await idsOf({}), ['db-1', 'web-1', 'web-2']);
  t.deepEqual(await idsOf(nodeId('exact', 'web-1')), ['web-1']);
  t.deepEqual(await idsOf(nodeId('prefix', 'web')), ['web-1', 'web-2']);
  t.deepEqual(await idsOf(nodeId('suffix', '-1')), ['db-1', 'web-1']);
  t.deepEqual(await idsOf(nodeId('contains', 'B-')), []);
  t.deepEqual(await idsOf(nodeId('contains', 'B-', true)), ['db-1', 'web-1', 'web-2']);
  const [full] = await fetchStatus(serving, nodeId('exact', 'web-1'));
  t.is(Buffer.from(full?.genericXdsConfigs[0]?.xdsConfig?.value ?? []).toString(), 'content');
  const [bare] = await fetchStatus(serving, { ...nodeId('exact', 'web-1'), excludeResourceContents: true });
  t.is(bare?.genericXdsConfigs[0]?.xdsConfig, undefined);
});

test('the stream splits what is too much for one response', async (t) => {
  const serving = await serveWithStatus(t);
  const names = Array.from({ length: 60 }, (_, at) => `r${at}`);
  serving.resources.put(T, Object.fromEntries(names.map((name) => [name, 'x'.repeat(100_000)])));
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T, node: { id: 'large' } });
  for (let left = names.length; left > 0;) left -= (await stream.next()).resources.length;
  await t.throwsAsync(fetchStatus(serving), { message: /exclude_resource_contents/u });
  const method = ClientStatusDiscoveryService.method.streamClientStatus;
  const asked = new TestStream<Init, ClientStatusResponse>(serving.address, {
    path: methodPath(method),
    encode: (init) =>
      Buffer.from(toBinary(ClientStatusRequestSchema, create(ClientStatusRequestSchema, init))),
    codec: messageCodec(ClientStatusResponseSchema),
  });
  t.teardown(() => asked.close());
  asked.send({});
  const seen = new Set<string>();
  while (seen.size < names.length) {
    const { config } = await asked.next();
    for (const one of config) {
      t.is(one.node?.id, 'large');
      for (const { name } of one.genericXdsConfigs) seen.add(name);
    }
  }
  t.true(asked.received.length > 4);
});

test('clients with large nodes do not make the status of all too large', async (t) => {
  const serving = await serveWithStatus(t);
  const streams = Array.from({ length: 90 }, (_, at) => {
    const stream = deltaStream(serving.address, { 'grpc.use_local_subchannel_pool': 0 });
    t.teardown(() => stream.close());
    const metadata = { labels: 'm'.repeat(60_000) };
    stream.send({ typeUrl: T, node: { id: `n${at}`, cluster: 'c', locality: { zone: 'z' }, metadata } });
    return stream;
  });
  await Promise.all(streams.map((stream) => stream.next()));
  const nodes = (await fetchStatus(serving)).map(({ node }) => node);
  t.is(nodes.length, 90);
  t.true(nodes.every((node) => node?.cluster === 'c' && node.locality?.zone === 'z'));
  t.true(nodes.every((node) => node?.metadata === undefined));
});

test('a small node is shown as it came', async (t) => {
  const serving = await serveWithStatus(t);
  const stream = deltaStream(serving.address);
  t.teardown(() => stream.close());
  stream.send({ typeUrl: T, node: { id: 'small', metadata: { labels: 'm' } } });
  await stream.next();
  t.deepEqual((await fetchStatus(serving))[0]?.node?.metadata, { labels: 'm' });
});
