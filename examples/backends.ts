import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import * as v from 'valibot';
import { parseAllDocuments } from 'yaml';
import { bindError, hostPort, listen } from '../process/listen.ts';

const LoopbackSlice = v.object({
  kind: v.literal('EndpointSlice'),
  ports: v.array(v.object({ port: v.number(), protocol: v.optional(v.picklist(['TCP', 'UDP']), 'TCP') })),
  endpoints: v.array(v.object({ addresses: v.tuple([v.literal('127.0.0.1')]) })),
});

/**
 * Starts a real HTTP server on every 127.0.0.1 endpoint that the folder's EndpointSlices name, or for UDP one that
 * answers datagrams. Each answers with its own address. Returns those addresses.
 */
export async function startBackends(directory: string): Promise<string[]> {
  const addresses: string[] = [];
  for (const { port, protocol } of loopbackPorts(directory)) {
    const address = hostPort('127.0.0.1', port);
    if (protocol === 'UDP') await answerDatagrams(port, `hello from ${address} by UDP\n`);
    else await answerRequests(port, `hello from ${address}\n`);
    addresses.push(protocol === 'UDP' ? `${address}/udp` : address);
  }
  return addresses;
}

async function answerRequests(port: number, answer: string): Promise<void> {
  const server = createServer((_request, response) => response.end(answer));
  await listen(server, `the backend ${hostPort('127.0.0.1', port)}`, '127.0.0.1', port);
}

async function answerDatagrams(port: number, answer: string): Promise<void> {
  const socket = createSocket('udp4');
  socket.on('message', (_bytes, from) => socket.send(answer, from.port, from.address));
  await new Promise<void>((resolve, reject) => {
    const what = `the backend ${hostPort('127.0.0.1', port)}/udp`;
    socket.once('error', (error) => reject(bindError(what, '127.0.0.1', port, error)));
    socket.bind(port, '127.0.0.1', resolve);
  });
}

function loopbackPorts(directory: string): v.InferOutput<typeof LoopbackSlice>['ports'] {
  const documents = readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .flatMap((name) => parseAllDocuments(readFileSync(join(directory, name), 'utf8')))
    .map((document): unknown => document.toJS());
  return documents.flatMap((document) => {
    const slice = v.safeParse(LoopbackSlice, document);
    return slice.success ? slice.output.ports : [];
  });
}
