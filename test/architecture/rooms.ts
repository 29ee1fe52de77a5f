/** A folder with what is below it, except folders that are rooms of their own. */
export interface Room {
  /** Rooms, or single files of other rooms, that it may import. */
  readonly imports: readonly string[];
  /** Modules of npm and Node that it may import; `node:*` stands for all of Node's. */
  readonly packages: readonly string[];
  /** Why no more than that, for the developer whose import is refused. */
  readonly because: string;
}

const PROTOBUF = ['@bufbuild/protobuf', '@bufbuild/protobuf/wkt'];

const contract =
  'The programs are joined by the wire contract alone: put what both need into wire or process.';
const source = 'A source reports objects: mesh decides what they mean, and xds serves the result.';
const outsideXds = 'Generated types and gRPC stop at sidecar/xds; every other room speaks domain nouns.';

/** The borders of the house. Tests, benches and examples may import anything but a `main`. */
export const ROOMS: Readonly<Record<string, Room>> = {
  gen: { imports: [], packages: [], because: 'It is generated.' },
  k8s: { imports: [], packages: ['node:*'], because: 'Manifests and images are no part of a program.' },
  process: {
    imports: [],
    packages: ['node:*', 'prom-client'],
    because: 'It is about being a long-running program of any kind, and knows nothing of the mesh.',
  },
  wire: {
    imports: ['gen'],
    packages: ['@bufbuild/protobuf', '@grpc/grpc-js', 'node:net'],
    because: 'It is the contract between programs, and knows none of them.',
  },
  'api-server': {
    imports: ['process'],
    packages: ['node:*', '@kubernetes/client-node'],
    because: 'It talks to a Kubernetes API server; what objects mean to the mesh is for the programs.',
  },

  'control-plane': {
    imports: [
      'control-plane/files',
      'control-plane/inspection',
      'control-plane/kubernetes',
      'control-plane/mesh',
      'control-plane/xds',
      'process',
      'wire',
    ],
    packages: ['node:*', '@grpc/grpc-js', 'prom-client'],
    because: contract,
  },
  'control-plane/files': {
    imports: ['control-plane/mesh', 'control-plane/source.ts', 'process'],
    packages: ['node:*', 'prom-client', 'yaml'],
    because: source,
  },
  'control-plane/kubernetes': {
    imports: ['api-server', 'control-plane/mesh', 'control-plane/source.ts', 'process', 'wire/pod.ts'],
    packages: ['prom-client'],
    because: source,
  },
  'control-plane/mesh': {
    imports: [
      'control-plane/xds/persistent-map.ts',
      'control-plane/xds/snapshot.ts',
      'gen/cortexflow',
      'wire',
    ],
    packages: ['@bufbuild/protobuf', '@bufbuild/protobuf/wkt', 'node:net'],
    because: 'It is pure: objects come in as arguments, from any source.',
  },
  'control-plane/xds': {
    imports: ['gen/envoy', 'gen/google', 'process', 'wire'],
    packages: ['node:*', '@grpc/grpc-js', ...PROTOBUF],
    because: 'The push engine serves any resource type: what a Service is stays in control-plane/mesh.',
  },
  'control-plane/inspection': {
    imports: ['control-plane/xds', 'gen', 'process', 'wire'],
    packages: ['@grpc/grpc-js', ...PROTOBUF],
    because: 'It shows what the engine serves, not where that came from.',
  },

  injector: {
    imports: [
      'api-server',
      'injector/certificates',
      'injector/options',
      'process',
      'wire/cidr.ts',
      'wire/pod.ts',
    ],
    packages: ['node:*', 'koa', 'prom-client'],
    because: 'It changes pods and speaks no xDS.',
  },
  'injector/certificates': {
    imports: ['api-server', 'injector/config.ts', 'process'],
    packages: ['node:*', '@peculiar/x509', 'reflect-metadata'],
    because: 'It issues, renews and keeps certificates, and knows no pods.',
  },
  'injector/options': {
    imports: ['process', 'wire/cidr.ts', 'wire/pod.ts'],
    packages: ['node:net'],
    because: 'It reads annotations, and knows no API server.',
  },

  sidecar: {
    imports: [
      'process',
      'sidecar/balance',
      'sidecar/config',
      'sidecar/datagram',
      'sidecar/dns',
      'sidecar/flows',
      'sidecar/forward',
      'sidecar/message',
      'sidecar/net',
      'sidecar/services',
      'sidecar/xds',
      'wire',
    ],
    packages: ['node:*', '@grpc/grpc-js', 'prom-client', 'valibot', 'yaml'],
    because: contract,
  },
  'sidecar/services': {
    imports: ['process'],
    packages: ['node:crypto', 'node:fs/promises', 'node:net', 'node:path', 'valibot'],
    because: outsideXds,
  },
  'sidecar/balance': { imports: ['sidecar/services'], packages: [], because: 'Pickers are pure.' },
  'sidecar/xds': {
    imports: ['gen', 'process', 'sidecar/services', 'wire'],
    packages: ['@grpc/grpc-js', 'node:net', 'node:util', ...PROTOBUF],
    because: 'The client fills the table; the rooms that read it are not its concern.',
  },
  'sidecar/native': {
    imports: [],
    packages: ['node:ffi', 'node:module'],
    because: 'Native calls know nothing of the mesh.',
  },
  'sidecar/net': {
    imports: ['process', 'sidecar/native'],
    packages: ['node:*'],
    because: 'Sockets and addresses know nothing of the mesh.',
  },
  'sidecar/datagram': {
    imports: ['sidecar/native', 'sidecar/net'],
    packages: ['node:*'],
    because: 'Sockets know nothing of the mesh.',
  },
  'sidecar/forward': {
    imports: ['process', 'sidecar/balance', 'sidecar/net', 'sidecar/services'],
    packages: ['node:*', 'prom-client'],
    because: 'It performs decisions, for any protocol above TCP.',
  },
  'sidecar/flows': {
    imports: [
      'process',
      'sidecar/balance',
      'sidecar/datagram',
      'sidecar/forward',
      'sidecar/net',
      'sidecar/services',
    ],
    packages: ['prom-client'],
    because: 'It performs decisions for datagrams, and reads no settings.',
  },
  'sidecar/dns': {
    imports: ['process', 'sidecar/datagram', 'sidecar/net', 'sidecar/services'],
    packages: ['node:crypto', 'node:fs/promises', 'node:net', 'prom-client'],
    because: 'It answers from the table, writes its own messages, and reads no settings.',
  },
  'sidecar/message': {
    imports: ['process', 'sidecar/balance', 'sidecar/forward', 'sidecar/net', 'sidecar/services'],
    packages: ['node:*', 'prom-client'],
    because: 'Messages go where the table says; it reads no settings.',
  },
  'sidecar/config': {
    imports: [
      'process',
      'sidecar/dns/own-server.ts',
      'sidecar/flows/limits.ts',
      'sidecar/forward/limits.ts',
      'sidecar/net/socket-address.ts',
      'sidecar/message/limits.ts',
      'wire/cidr.ts',
      'wire/pod.ts',
    ],
    packages: ['node:net', 'valibot'],
    because: 'Settings are read before anything runs: of other rooms they know limits and addresses.',
  },
  'sidecar/proxy-init': {
    imports: ['process', 'sidecar/config.ts', 'wire/cidr.ts', 'wire/pod.ts'],
    packages: ['node:child_process', 'node:net'],
    because: 'The init container makes rules out of the bootstrap and ends.',
  },
};
