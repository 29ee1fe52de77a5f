import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../until.ts';

/** Of Envoy's admin page, what these tests look at. */
export interface EnvoyView {
  /** `connect_timeout` by Cluster, of those that carry traffic. */
  readonly active: Readonly<Record<string, string>>;
  /** Clusters that wait for their endpoints. */
  readonly warming: readonly string[];
  /** Ports of the endpoints, by Cluster. */
  readonly ports: Readonly<Record<string, readonly number[]>>;
}

export interface Envoy {
  view(): Promise<EnvoyView>;
  stop(): Promise<void>;
}

/** Envoy as the client of one aggregated stream to this port. */
export async function startEnvoy(
  binary: string,
  controlPlanePort: number,
  api: 'DELTA_GRPC' | 'GRPC',
): Promise<Envoy> {
  const directory = mkdtempSync(join(tmpdir(), 'envoy-'));
  const adminFile = join(directory, 'admin');
  const config = JSON.stringify(bootstrap(controlPlanePort, api));
  const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'error'];
  const child = spawn(binary, ['--config-yaml', config, '--admin-address-path', adminFile, ...flags], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
    rmSync(directory, { recursive: true });
  };
  try {
    const admin = await until(
      'the address of Envoy’s admin page is written',
      () => {
        if (child.exitCode !== null) throw new Error(`Envoy exited with ${child.exitCode}`);
        return existsSync(adminFile) ? readFileSync(adminFile, 'utf8') : '';
      },
      (address) => address !== '',
    );
    return { view: () => viewOf(admin), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface ClusterConfig {
  readonly cluster: { readonly name: string; readonly connect_timeout: string };
}

interface ClusterStatus {
  readonly name: string;
  readonly host_statuses?: readonly {
    readonly address: { readonly socket_address: { readonly port_value: number } };
  }[];
}

async function viewOf(admin: string): Promise<EnvoyView> {
  const [active, warming, { cluster_statuses: clusters }] = await Promise.all([
    get<{ configs?: ClusterConfig[] }>(admin, '/config_dump?resource=dynamic_active_clusters'),
    get<{ configs?: ClusterConfig[] }>(admin, '/config_dump?resource=dynamic_warming_clusters'),
    get<{ cluster_statuses: ClusterStatus[] }>(admin, '/clusters?format=json'),
  ]);
  const timeouts = (active.configs ?? []).map(
    ({ cluster }) => [cluster.name, cluster.connect_timeout] as const,
  );
  const ports = clusters
    .filter(({ name }) => name !== CONTROL_PLANE)
    .map(({ name, host_statuses: hosts = [] }) => [
      name,
      hosts.map(({ address }) => address.socket_address.port_value).toSorted((one, other) => one - other),
    ]);
  return {
    active: Object.fromEntries(timeouts),
    warming: (warming.configs ?? []).map(({ cluster }) => cluster.name),
    ports: Object.fromEntries(ports),
  };
}

async function get<T>(admin: string, path: string): Promise<T> {
  const response = await fetch(`http://${admin}${path}`);
  return (await response.json()) as T;
}

const CONTROL_PLANE = 'control-plane';

function bootstrap(controlPlanePort: number, api: string): object {
  return {
    node: { id: 'envoy-1', cluster: 'interop' },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    dynamic_resources: {
      ads_config: {
        api_type: api,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: CONTROL_PLANE } }],
      },
      cds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
    },
    static_resources: {
      clusters: [
        {
          name: CONTROL_PLANE,
          type: 'STATIC',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: CONTROL_PLANE,
            endpoints: [
              {
                lb_endpoints: [
                  {
                    endpoint: {
                      address: {
                        socket_address: { address: '127.0.0.1', port_value: controlPlanePort },
                      },
                    },
                  },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}
