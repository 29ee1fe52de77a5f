import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import { loadSync } from '@grpc/proto-loader';
import type { Resource } from '../../control-plane/xds/snapshot.ts';
import { createResource } from '../../control-plane/xds/snapshot.ts';

const originals = join(
  dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')),
  'deps',
);

// In the JSON form of protobuf; an Any is an object with "@type".
const protos = loadSync(
  [
    'envoy/config/listener/v3/listener.proto',
    'envoy/config/route/v3/route.proto',
    'envoy/config/cluster/v3/cluster.proto',
    'envoy/config/endpoint/v3/endpoint.proto',
    'envoy/extensions/filters/http/router/v3/router.proto',
    'envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto',
  ],
  {
    includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((root) =>
      join(originals, root),
    ),
  },
);

export const LISTENER = 'envoy.config.listener.v3.Listener';
export const ROUTES = 'envoy.config.route.v3.RouteConfiguration';
export const CLUSTER = 'envoy.config.cluster.v3.Cluster';
export const ENDPOINTS = 'envoy.config.endpoint.v3.ClusterLoadAssignment';

/** What a gRPC client needs in order to call `xds:///name`: everything but where the backends are. */
export function serviceResources(name: string): Resource[] {
  return [
    envoyResource(LISTENER, name, {
      name,
      apiListener: {
        apiListener: {
          '@type':
            'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
          rds: { routeConfigName: `${name}-routes`, configSource: { ads: {}, resourceApiVersion: 'V3' } },
          httpFilters: [
            {
              name: 'router',
              typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
            },
          ],
        },
      },
    }),
    envoyResource(ROUTES, `${name}-routes`, {
      name: `${name}-routes`,
      virtualHosts: [
        { name, domains: ['*'], routes: [{ match: { prefix: '' }, route: { cluster: `${name}-cluster` } }] },
      ],
    }),
    envoyResource(CLUSTER, `${name}-cluster`, {
      name: `${name}-cluster`,
      type: 'EDS',
      edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3' } },
      lbPolicy: 'ROUND_ROBIN',
    }),
  ];
}

/** Where the backends of `xds:///name` are: ports on 127.0.0.1. */
export function backendsResource(name: string, ports: readonly number[]): Resource {
  return envoyResource(ENDPOINTS, `${name}-cluster`, {
    clusterName: `${name}-cluster`,
    endpoints: [
      {
        locality: { region: 'here' },
        loadBalancingWeight: { value: 1 },
        lbEndpoints: ports.map((portValue) => ({
          endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } },
        })),
      },
    ],
  });
}

/** A Cluster whose endpoints come by EDS, and are waited for without end: a stall never resolves by itself. */
export function clusterResource(name: string, connectTimeoutSeconds: number, serviceName = ''): Resource {
  return envoyResource(CLUSTER, name, {
    name,
    type: 'EDS',
    connectTimeout: { seconds: connectTimeoutSeconds },
    edsClusterConfig: {
      serviceName,
      edsConfig: { ads: {}, resourceApiVersion: 'V3', initialFetchTimeout: { seconds: 0 } },
    },
  });
}

/** One endpoint, a port on 127.0.0.1. */
export function endpointsResource(name: string, portValue: number): Resource {
  return envoyResource(ENDPOINTS, name, {
    clusterName: name,
    endpoints: [
      { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } }] },
    ],
  });
}

function envoyResource(type: string, name: string, message: object): Resource {
  const { serialize } = protos[type] as MessageTypeDefinition<object, object>;
  return createResource(`type.googleapis.com/${type}`, name, serialize(message));
}
