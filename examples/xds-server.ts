/**
 * An xDS server in a hundred lines: serves the resources in a JSON file to Envoy, gRPC or any other xDS v3 client,
 * on the aggregated service and on those for one type, and pushes when the file changes.
 *
 *     npm exec -- node examples/xds-server.ts resources.json [127.0.0.1:18000] [descriptors.binpb]
 *
 * The file is a list of resources, each with its content as base64 or, where a descriptor set (`buf build -o`)
 * says what the types look like, as plain JSON:
 *
 *     [{ "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "web", "value": "CgN3ZWI=" }]
 */
import { readFileSync, watchFile } from 'node:fs';
import { createFileRegistry, fromBinary, fromJson, toBinary } from '@bufbuild/protobuf';
import type { JsonValue, Registry } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { addClientStatus } from '../control-plane/xds/csds.ts';
import { createXdsEngine } from '../control-plane/xds/engine.ts';
import { XDS_SERVER_OPTIONS } from '../control-plane/xds/server-options.ts';
import { AGGREGATED } from '../control-plane/xds/services.ts';
import { createResource, EMPTY_SNAPSHOT, SnapshotCell, withChanges } from '../control-plane/xds/snapshot.ts';
import type { Snapshot } from '../control-plane/xds/snapshot.ts';
import type { Fields, Logger } from '../process/log.ts';
import { ENVOY_KINDS, PER_TYPE } from './envoy-kinds.ts';

interface Entry {
  readonly '@type': string;
  readonly name: string;
  /** Base64, or the message as JSON. */
  readonly value: JsonValue;
}

const [file, address = '127.0.0.1:18000', descriptors] = process.argv.slice(2);
if (file === undefined) {
  console.error(
    'usage: npm exec -- node examples/xds-server.ts resources.json [host:port] [descriptors.binpb]',
  );
  process.exit(1);
}

const registry: Registry | undefined =
  descriptors === undefined
    ? undefined
    : createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));

const log = (message: string, fields: Fields = {}): void => console.error(message, fields);
const logger: Logger = {
  error: log,
  warn: log,
  info: log,
  debug: () => undefined,
  isEnabled: (level) => level !== 'debug',
  with: () => logger,
};

const snapshots = new SnapshotCell(read(file));
const engine = createXdsEngine({ snapshots, logger, ...ENVOY_KINDS });
const server = new Server(XDS_SERVER_OPTIONS);
engine.addTo(server, [AGGREGATED, ...PER_TYPE]);
addClientStatus(server, engine);

server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) {
    console.error(`cannot listen on ${address}: ${error.message}`);
    process.exit(1);
  }
  console.log(`serving ${file} on port ${port}`);
});

watchFile(file, { interval: 200 }, () => {
  try {
    snapshots.replace(read(file));
  } catch (error) {
    console.error(`${file} cannot be read, what was read before is still served:`, error);
  }
});

process.once('SIGTERM', stop).once('SIGINT', stop);

function stop(): void {
  engine.close();
  server.forceShutdown();
  process.exit(0);
}

/** All of the file at once: what it no longer names is gone. Unchanged resources are not sent again. */
function read(path: string): Snapshot {
  const entries = JSON.parse(readFileSync(path, 'utf8')) as readonly Entry[];
  const upserts = entries.map((entry) => createResource(entry['@type'], entry.name, bytesOf(entry)));
  return withChanges(EMPTY_SNAPSHOT, { upserts, removals: [] });
}

function bytesOf({ '@type': typeUrl, name, value }: Entry): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value, 'base64');
  const schema = registry?.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
  if (registry === undefined || schema === undefined) {
    throw new Error(`${name}: to read JSON of ${typeUrl}, give a descriptor set that has it`);
  }
  return toBinary(schema, fromJson(schema, value, { registry }));
}
