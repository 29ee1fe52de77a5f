import { nearestWord } from './nearest-word.ts';

const PREFIX = 'CORTEXFLOW_';

/**
 * Every variable that one of the programs reads, without the prefix. All programs share the list, so that one file
 * of variables can serve all of them.
 */
const KNOWN = [
  'ADMIN_ADDRESS',
  'BOOTSTRAP',
  'CERTIFICATE_DIRECTORY',
  'CERTIFICATE_SECRET',
  'CLUSTER',
  'CONNECT_ATTEMPTS',
  'CONNECT_TIMEOUT_MS',
  'CONTROL_PLANE',
  'CONTROL_PLANE_REQUIRED',
  'CONTROL_PLANE_WAIT_MS',
  'DIRECTORY',
  'DNS_CACHE_BYTES',
  'DNS_CLUSTER_DOMAIN',
  'DNS_LISTEN',
  'DNS_UPSTREAMS',
  'DRAIN_MS',
  'ENDPOINTS_IDLE_MS',
  'ENDPOINTS_WAIT_MS',
  'FLOW_IDLE_TIMEOUT_MS',
  'HELD_BYTES',
  'HELD_BYTES_PER_CALLER',
  'IDLE_TIMEOUT_MS',
  'INSPECTION_ADDRESS',
  'LAST_GOOD_FILE',
  'LOG_FORMAT',
  'LOG_LEVEL',
  'MAX_CONNECTIONS',
  'MAX_CONNECTIONS_PER_ADDRESS',
  'MAX_FLOWS',
  'MAX_STREAMS',
  'MAX_STREAMS_PER_CALLER',
  'MESSAGES_DELIVERY_TIMEOUT_MS',
  'MESSAGES_DELIVER_TO',
  'MESSAGES_LISTEN',
  'MESSAGES_MAX_CONNECTIONS',
  'MESSAGES_PER_SECOND',
  'NAMESPACE',
  'NEW_STREAMS_BURST',
  'NEW_STREAMS_BURST_PER_CALLER',
  'NEW_STREAMS_PER_SECOND',
  'NEW_STREAMS_PER_SECOND_PER_CALLER',
  'NODE_ID',
  'NODE_NAME',
  'POD_SECURITY_DEFAULT',
  'PUSH_MAX_WINDOW_MS',
  'PUSH_WINDOW_MS',
  'SERVICE_ACCOUNT_DIRECTORY',
  'SHUTDOWN_MS',
  'SIDECAR_ADMIN_HOST',
  'SIDECAR_CPU_LIMIT',
  'SIDECAR_CPU_REQUEST',
  'SIDECAR_IMAGE',
  'SIDECAR_MEMORY_LIMIT',
  'SIDECAR_MEMORY_REQUEST',
  'SOURCE',
  'STREAM_MAX_AGE_MS',
  'UNSENT_BYTES',
  'UNSENT_BYTES_PER_CALLER',
  'UPSTREAMS',
  'WEBHOOK_ADDRESS',
  'WEBHOOK_CONFIGURATION',
  'WEBHOOK_SERVICE',
  'XDS_ADDRESS',
  'ZONE',
] as const;

export const KNOWN_VARIABLES: readonly string[] = KNOWN.map((name) => `${PREFIX}${name}`);

/** The injector gives a sidecar this one to make up CORTEXFLOW_NODE_ID; no program reads it. */
const NOT_READ = `${PREFIX}POD_NAME`;
/** For the tests and benches of this tree. */
const TESTS = `${PREFIX}TEST_`;

export interface UnknownVariable {
  readonly name: string;
  /** The variable that was most likely meant. */
  readonly nearest: string | undefined;
}

/** The variables that look like settings of CortexFlow, and that no program of it reads. */
export function unknownVariables(
  environment: Readonly<Record<string, string | undefined>>,
): UnknownVariable[] {
  return Object.entries(environment)
    .filter(([name, value]) => value?.trim() && isUnknown(name) && !isServiceLink(name, value))
    .map(([name]) => {
      const nearest = nearestWord(name.slice(PREFIX.length), KNOWN);
      return { name, nearest: nearest === undefined ? undefined : `${PREFIX}${nearest}` };
    });
}

/** A sentence for a person, where there is no log yet. */
export function describeUnknown({ name, nearest }: UnknownVariable): string {
  const advice = nearest === undefined ? 'docs/configuration.md lists the settings' : `use ${nearest}`;
  return `${name} is not a setting of CortexFlow and has no effect: ${advice}`;
}

function isUnknown(name: string): boolean {
  return (
    name.toUpperCase().startsWith(PREFIX) &&
    !KNOWN_VARIABLES.includes(name) &&
    name !== NOT_READ &&
    !name.startsWith(TESTS)
  );
}

const SERVICE_LINK =
  /^CORTEXFLOW(?:_\w+)?_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT_\d+_(?:TCP|UDP|SCTP)\w*)$/;

/**
 * Kubernetes gives every pod such variables for each Service of its namespace, also for one that is called
 * cortexflow-control-plane. A setting that was made up, CORTEXFLOW_XDS_PORT=18000, has no URL in it.
 */
function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith('_PORT') && value.includes('://'));
}
