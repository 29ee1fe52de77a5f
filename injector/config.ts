import { isIP } from 'node:net';
import { type Address, Environment } from '../process/environment.ts';
import { type Level, LEVELS, type LogFormat } from '../process/log.ts';
import { POD_SECURITY_LEVELS, type Surroundings } from './eligibility.ts';
import { readImage } from './options/image.ts';
import { type Quantity, readCpu, readMemory } from './options/quantity.ts';
import type { Reading } from './options/reading.ts';
import type { ResourceDefaults } from './resources.ts';

export interface InjectorConfig {
  /** The webhook, over HTTPS. */
  readonly webhook: Address;
  /** /healthz /readyz /metrics. */
  readonly admin: Address;
  readonly log: { readonly level: Level; readonly format: LogFormat | 'auto' };
  /** What pods get. */
  readonly proxy: {
    readonly image: string;
    readonly controlPlane: Address;
    readonly adminHost: string;
    readonly resources: ResourceDefaults;
  };
  /** What decides who is injected, besides pods and namespaces. */
  readonly surroundings: Surroundings;
  readonly certificates: CertificateSource;
  /** How long an ending injector goes on answering, so that API servers find another replica meanwhile. */
  readonly drainMs: number;
  readonly shutdownMs: number;
}

export type CertificateSource =
  /** Made here, kept in a Secret, trusted by way of the webhook configuration. */
  | {
      readonly kind: 'own';
      readonly namespace: string;
      readonly secret: string;
      readonly configuration: string;
      readonly hosts: readonly string[];
    }
  /** Somebody else's, in files. */
  | { readonly kind: 'directory'; readonly directory: string };

export type ConfigResult = { readonly config: InjectorConfig } | { readonly problems: readonly string[] };

/** Reads the whole configuration from environment variables; `lookup` answers undefined where one is unset. */
export function readConfig(lookup: (name: string) => string | undefined): ConfigResult {
  const environment = new Environment(lookup);
  const config: InjectorConfig = {
    webhook: environment.address('CORTEXFLOW_WEBHOOK_ADDRESS', '0.0.0.0:9443'),
    admin: environment.address('CORTEXFLOW_ADMIN_ADDRESS', '0.0.0.0:18080'),
    log: {
      level: environment.choice('CORTEXFLOW_LOG_LEVEL', LEVELS, 'info'),
      format: environment.choice('CORTEXFLOW_LOG_FORMAT', ['auto', 'json', 'text'], 'auto'),
    },
    proxy: {
      image: readAs(environment, 'CORTEXFLOW_SIDECAR_IMAGE', 'cortexflow/sidecar:0.1.0', readImage),
      controlPlane: readControlPlane(environment),
      adminHost: environment.choice('CORTEXFLOW_SIDECAR_ADMIN_HOST', ['0.0.0.0', '::'], '0.0.0.0'),
      resources: readResources(environment),
    },
    surroundings: {
      meshNamespace: environment.string('CORTEXFLOW_NAMESPACE', 'cortexflow'),
      podSecurityDefault: environment.choice(
        'CORTEXFLOW_POD_SECURITY_DEFAULT',
        POD_SECURITY_LEVELS,
        'privileged',
      ),
    },
    certificates: readCertificates(environment),
    drainMs: environment.integer('CORTEXFLOW_DRAIN_MS', { min: 0, max: 3_600_000 }, 5_000),
    shutdownMs: environment.integer('CORTEXFLOW_SHUTDOWN_MS', { min: 0, max: 3_600_000 }, 20_000),
  };
  return environment.problems.length > 0 ? { problems: environment.problems } : { config };
}

function readControlPlane(environment: Environment): Address {
  const name = 'CORTEXFLOW_CONTROL_PLANE';
  const address = environment.address(name, 'control-plane.cortexflow.svc:18000');
  if (address.port === 0) {
    environment.problems.push(`${name} has port 0: give the port that the control plane listens on`);
  }
  return address;
}

function readCertificates(environment: Environment): CertificateSource {
  const directory = environment.string('CORTEXFLOW_CERTIFICATE_DIRECTORY', '');
  if (directory) return { kind: 'directory', directory };
  const service = environment.string('CORTEXFLOW_WEBHOOK_SERVICE', 'injector.cortexflow.svc');
  const namespace = environment.string('CORTEXFLOW_NAMESPACE', '');
  const secret = environment.string('CORTEXFLOW_CERTIFICATE_SECRET', 'injector-certificate');
  const configuration = environment.string('CORTEXFLOW_WEBHOOK_CONFIGURATION', 'cortexflow-injector');
  const names = {
    CORTEXFLOW_WEBHOOK_SERVICE: service,
    CORTEXFLOW_CERTIFICATE_SECRET: secret,
    CORTEXFLOW_WEBHOOK_CONFIGURATION: configuration,
  };
  for (const [name, value] of Object.entries(names)) {
    if (NAME.test(value) || isIP(value) !== 0) continue;
    environment.problems.push(`${name} is "${value}": use lower-case letters, digits, dots and dashes`);
  }
  if (!NAMESPACE.test(namespace)) {
    environment.problems.push(
      `CORTEXFLOW_NAMESPACE is "${namespace}": name the namespace that the Secret is kept in, in a pod by ` +
        'fieldRef: metadata.namespace',
    );
  }
  return { kind: 'own', namespace, secret, configuration, hosts: hostsOf(service) };
}

/** RFC 1123: a subdomain, a label. */
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/u;
const NAMESPACE = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u;

/** All forms in which a Service of the cluster can be asked for; anything else as it stands. */
function hostsOf(service: string): string[] {
  const { name, namespace } = /^(?<name>[^.]+)\.(?<namespace>[^.]+)\.svc$/u.exec(service)?.groups ?? {};
  return name === undefined || namespace === undefined
    ? [service]
    : [service, name, `${name}.${namespace}`, `${service}.cluster.local`];
}

function readResources(environment: Environment): ResourceDefaults {
  const resources = {
    cpuRequest: readQuantity(environment, 'CORTEXFLOW_SIDECAR_CPU_REQUEST', '20m'),
    cpuLimit: readQuantity(environment, 'CORTEXFLOW_SIDECAR_CPU_LIMIT', 'none'),
    memoryRequest: readQuantity(environment, 'CORTEXFLOW_SIDECAR_MEMORY_REQUEST', '48Mi'),
    memoryLimit: readQuantity(environment, 'CORTEXFLOW_SIDECAR_MEMORY_LIMIT', '256Mi'),
  };
  requireOrder(environment, 'CPU', resources.cpuRequest, resources.cpuLimit);
  requireOrder(environment, 'MEMORY', resources.memoryRequest, resources.memoryLimit);
  return resources;
}

/** `none` leaves it out of the containers. */
function readQuantity(environment: Environment, name: string, fallback: string): Quantity | undefined {
  if (environment.string(name, fallback) === 'none') return undefined;
  const reader = name.includes('_CPU_') ? readCpu : readMemory;
  return readAs<Quantity | undefined>(environment, name, fallback, reader);
}

function readAs<T>(
  environment: Environment,
  name: string,
  fallback: string,
  reader: (text: string) => Reading<T>,
): T {
  const value = environment.string(name, fallback);
  const reading = reader(value);
  if (reading.ok) return reading.value;
  environment.problems.push(`${name} is "${value}": it ${reading.what}`);
  const stand = reader(fallback);
  if (!stand.ok) throw new Error(`${name}: ${stand.what}`);
  return stand.value;
}

function requireOrder(
  environment: Environment,
  resource: string,
  request: Quantity | undefined,
  limit: Quantity | undefined,
): void {
  if (request === undefined || limit === undefined || request.nanos <= limit.nanos) return;
  environment.problems.push(
    `CORTEXFLOW_SIDECAR_${resource}_REQUEST is "${request.text}": use at most ` +
      `CORTEXFLOW_SIDECAR_${resource}_LIMIT, ${limit.text}`,
  );
}
