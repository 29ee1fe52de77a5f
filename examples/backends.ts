import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseAllDocuments } from 'yaml';
import { hostPort, listen } from '../process/listen.ts';

const LoopbackSlice = v.object({
  kind: v.literal('EndpointSlice'),
  ports: v.array(v.object({ port: v.number() })),
  endpoints: v.array(v.object({ addresses: v.tuple([v.literal('127.0.0.1')]) })),
});

/**
 * Starts a real HTTP server on every 127.0.0.1 endpoint that the folder's EndpointSlices name. Each answers
 * with its own address.
 */
export async function startBackends(directory: string): Promise<Server[]> {
  const servers: Server[] = [];
  for (const port of loopbackPorts(directory)) {
    const address = hostPort('127.0.0.1', port);
    const server = createServer((_request, response) => response.end(`hello from ${address}\n`));
    await listen(server, `the backend ${address}`, '127.0.0.1', port);
    servers.push(server);
  }
  return servers;
}

function loopbackPorts(directory: string): number[] {
  const documents = readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => parseAllDocuments(readFileSync(join(directory, name), 'utf8')))
    .map((document): unknown => document.toJS());
  const slices = documents.filter((document) => v.is(LoopbackSlice, document));
  return slices.flatMap((slice) => slice.ports.map(({ port }) => port));
}
