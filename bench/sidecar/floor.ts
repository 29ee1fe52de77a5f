/** The libraries of a sidecar in a Node process that does nothing with them but answer /readyz. */
import { createServer } from 'node:http';
import '@bufbuild/protobuf';
import '@grpc/grpc-js';
import 'prom-client';
import 'valibot';
import { parseAddress } from '../../process/environment.ts';

const address = parseAddress(process.env['CORTEXFLOW_ADMIN_ADDRESS'] ?? '');
createServer((_request, response) => response.end()).listen(address?.port, address?.host);
process.on('SIGTERM', () => process.exit());
