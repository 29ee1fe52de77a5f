/**
 * Servers of several protocols in one program, which knows of no mesh. A ConfigMap brings it into a pod.
 *
 * 8080   HTTP/1.1: GET / {pod, from}, /broken a 503; POST /close and /open end and begin port 7070
 * 8081   HTTP/2 without TLS: {pod}
 * 50051  gRPC: the health service, for which `down` is NOT_SERVING; /journey.Echo/Call echoes a stream
 * 7070   speaks first, `220 <pod>`, and says `221 <sha256>` of what was sent a moment after its end
 * 7071   echoes, and goes on with that after the client's end
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';

const pod = process.env['HOSTNAME'];
/** As grpc.health.v1 has them: the only field of a HealthCheckResponse, and its values. */
const SERVING = Buffer.from([0x08, 1]);
const NOT_SERVING = Buffer.from([0x08, 2]);
const LATER_MS = 500;

const greeter = createTcpServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.write(`220 ${pod}\n`);
  answer(socket).catch(() => {});
});
greeter.listen(7070, '::');

createTcpServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  socket.pipe(socket);
}).listen(7071, '::');

createServer((request, response) => {
  if (request.url === '/close') greeter.close();
  if (request.url === '/open') greeter.listen(7070, '::');
  if (request.url === '/broken') response.statusCode = 503;
  response.end(`${JSON.stringify({ pod, from: request.socket.remoteAddress })}\n`);
}).listen(8080, '::');

createHttp2Server((_request, response) => {
  response.end(`${JSON.stringify({ pod })}\n`);
}).listen(8081, '::');

const bytes = (message: Buffer): Buffer => message;
const codec = {
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
};
const echo: ServiceDefinition = {
  call: { path: '/journey.Echo/Call', requestStream: true, responseStream: true, ...codec },
};
const health: ServiceDefinition = {
  check: { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...codec },
};
const grpc = new Server();
grpc.addService(echo, {
  call: (call: NodeJS.ReadWriteStream) => {
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
  },
});
grpc.addService(health, {
  check: ({ request }: { request: Buffer }, callback: (error: null, reply: Buffer) => void) => {
    callback(null, request.includes('down') ? NOT_SERVING : SERVING);
  },
});
await new Promise<void>((resolve, reject) => {
  grpc.bindAsync('[::]:50051', ServerCredentials.createInsecure(), (error) =>
    error ? reject(error) : resolve(),
  );
});

// The first process of a container gets no default for signals.
process.on('SIGTERM', () => process.exit(0));

/** Reading it as an async iterable would destroy the socket at the client's end. */
async function answer(socket: Socket): Promise<void> {
  const hash = createHash('sha256');
  socket.on('data', (chunk) => hash.update(chunk));
  await once(socket, 'end');
  await delay(LATER_MS);
  socket.end(`221 ${hash.digest('hex')}\n`);
}
