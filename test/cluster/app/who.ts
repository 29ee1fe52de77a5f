/**
 * An HTTP server that answers who it is and who asked, as JSON. It knows of no mesh.
 *
 *   node /app/who.ts [port]
 */
import { createServer } from 'node:http';

const port = Number(process.argv[2] ?? 8080);

createServer((request, response) => {
  const { remoteAddress } = request.socket;
  response.setHeader('content-type', 'application/json');
  response.end(`${JSON.stringify({ pod: process.env['HOSTNAME'], from: remoteAddress })}\n`);
}).listen(port, '::');

// The first process of a container gets no default for signals.
process.on('SIGTERM', () => process.exit(0));
