/** What a peer at 127.0.0.2 does to a program, while another at 127.0.0.1 asks it what it needs. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import { queryFor } from '../../sidecar/dns/alias.ts';
import { encodeDelta } from '../../test/xds/client.ts';

export const ATTACK_MS = 6_000;
const PEER = '127.0.0.2';
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const TYPE = 'type.googleapis.com/cortexflow.mesh.v1.Endpoints';
/** Of the attacker's own sockets, so that it does not run out of them before its victim does. */
const MOST_SOCKETS = 4_000;

function peerSocket(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port, localAddress: PEER });
  socket.on('error', () => undefined);
  return socket;
}

function session(port: number): ClientHttp2Session {
  const client = connectHttp2(`http://127.0.0.1:${port}`, { createConnection: () => peerSocket(port) });
  client.on('error', () => undefined);
  return client;
}

/** One stream that sends these messages of gRPC, and reads. */
function adsStream(client: ClientHttp2Session, ...messages: readonly Buffer[]): void {
  const stream = client.request({
    ':method': 'POST',
    ':path': ADS,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => undefined);
  stream.resume();
  for (const message of messages) {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.write(Buffer.concat([prefix, message]));
  }
}

/** Stands in a template for what differs from stream to stream. */
const MARK = '@';

/** Each on a connection of its own. Encoding every message would hold this process, and the client in it. */
async function streams(port: number, count: number, template: Buffer): Promise<void> {
  const clients = Array.from({ length: count }, (_, at) => {
    const client = session(port);
    const mark = MARK.charCodeAt(0);
    adsStream(client, Buffer.from(template.map((byte) => (byte === mark ? mark + 1 + at : byte))));
    return client;
  });
  await pause(ATTACK_MS);
  for (const client of clients) client.destroy();
}

const INVENTED = encodeDelta({
  typeUrl: TYPE,
  initialResourceVersions: Object.fromEntries(
    Array.from({ length: 90_000 }, (_, at) => [`demo/${MARK}/${at}`, '0'.repeat(16)]),
  ),
});

/** Versions of resources that the mesh does not have. */
export function inventedVersions(port: number): Promise<void> {
  return streams(port, 10, INVENTED);
}

const LONG = encodeDelta({
  typeUrl: TYPE,
  resourceNamesSubscribe: Array.from({ length: 8_000 }, (_, at) => `demo/${'x'.repeat(100)}${MARK}/${at}`),
});

export function longNames(port: number): Promise<void> {
  return streams(port, 50, LONG);
}

/** New connections with a stream each, as fast as they come, each given up after its request. */
export async function streamStorm(port: number): Promise<void> {
  const request = encodeDelta({ typeUrl: TYPE, resourceNamesSubscribe: ['demo/hello/*'] });
  const clients: ClientHttp2Session[] = [];
  const end = performance.now() + ATTACK_MS;
  while (performance.now() < end) {
    for (let nth = 0; nth < 20; nth += 1) {
      const client = session(port);
      for (let stream = 0; stream < 10; stream += 1) adsStream(client, request);
      clients.push(client);
    }
    while (clients.length > 200) clients.shift()?.destroy();
    await pause(5);
  }
  for (const client of clients) client.destroy();
}

/** Connections that never say anything. */
export async function silentConnections(port: number): Promise<void> {
  const sockets: Socket[] = [];
  const end = performance.now() + ATTACK_MS;
  while (performance.now() < end) {
    for (let nth = 0; nth < 20; nth += 1) sockets.push(peerSocket(port).resume());
    while (sockets.length > MOST_SOCKETS) sockets.shift()?.destroy();
    await pause(5);
  }
  for (const socket of sockets) socket.destroy();
}

export async function pipelinedMetrics(port: number): Promise<void> {
  const socket = peerSocket(port).resume();
  socket.write('GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'.repeat(1_500));
  await Promise.race([once(socket, 'close'), pause(ATTACK_MS)]);
  socket.destroy();
}

/** Reviews of 4 MB that are lists in lists. */
export async function nestedReviews(port: number): Promise<void> {
  const half = 2_000_000 - 50;
  const body = `{"kind":${'['.repeat(half)}${']'.repeat(half)}}`;
  const head = `POST /mutate HTTP/1.1\r\nhost: injector\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  const end = performance.now() + ATTACK_MS;
  const attack = async (): Promise<void> => {
    while (performance.now() < end) {
      const socket = connectTls({ socket: peerSocket(port), rejectUnauthorized: false });
      socket.on('error', () => undefined);
      socket.write(head + body);
      const answered = new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
      await Promise.race([answered, pause(ATTACK_MS)]);
      socket.destroy();
    }
  };
  await Promise.all([attack(), attack(), attack(), attack()]);
}

/** Files that cost much to parse, written anew all the time. */
export async function costlyFiles(write: (name: string, content: string) => void): Promise<void> {
  const keys = Array.from({ length: 100_000 }, (_, at) => `k${at}: 1\n`).join('');
  const merges = `a: &a {x: 1}\nb:\n  <<: [${'*a, '.repeat(12_000)}*a]\n`;
  const end = performance.now() + ATTACK_MS;
  for (let round = 0; performance.now() < end; round += 1) {
    write('keys.yaml', `# ${round}\n${keys}`);
    write('merges.yaml', `# ${round}\n${merges}`);
    await pause(500);
  }
}

/** Names that only a server knows that never answers, from one socket. */
export async function dnsFlood(port: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', () => undefined);
  await new Promise<void>((resolve) => socket.bind(0, PEER, resolve));
  const end = performance.now() + ATTACK_MS;
  for (let nth = 0; performance.now() < end; nth += 1) {
    socket.send(queryFor([`flood${nth}`, 'example', 'com'], 1), port, '127.0.0.1');
    if (nth % 20 === 0) await pause(1);
  }
  socket.close();
}

/** More lines than may be under way, on many connections, none of which reads its answers. */
export async function messageFlood(port: number): Promise<void> {
  const payload = Buffer.alloc(512).toString('base64');
  const line = `{"service":"none.demo","direction":"Incoming","payload":"${payload}"}\n`;
  const sockets = Array.from({ length: 200 }, () => peerSocket(port));
  for (const socket of sockets) socket.write(line.repeat(1_000));
  await pause(ATTACK_MS);
  for (const socket of sockets) socket.destroy();
}

/** A folder's writer, for the files that others edit. */
export function writerIn(folder: string): (name: string, content: string) => void {
  return (name, content) => writeFileSync(`${folder}/${name}`, content);
}
