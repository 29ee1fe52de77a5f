/**
 * Lets this machine reach the cluster's API server, which is on a network of its own: listens on a socket that
 * was made out here (file descriptor 3), and connects from in there.
 *
 *   node test/cluster/relay.ts <address> <port>
 */
import { connect, createServer } from 'node:net';

const LISTENING_DESCRIPTOR = 3;
const [host, port] = process.argv.slice(2);

createServer({ allowHalfOpen: true }, (client) => {
  const server = connect({ host: host!, port: Number(port), allowHalfOpen: true });
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
  client.on('close', () => server.destroy());
  server.on('close', () => client.destroy());
}).listen({ fd: LISTENING_DESCRIPTOR });
