import type { FieldPath } from './mistakes.ts';
import { parseAddress } from '../../process/environment.ts';

export interface Variable {
  readonly name: string;
  /** How to write it, where it is not written as in the file. */
  readonly form?: string;
  readonly path: FieldPath;
  /** The field's value as the file would have it. */
  readonly read: (value: string) => unknown;
}

const asText = (value: string): unknown => value;

/** Left as text where it is no number, so that the mistake names what was given. */
const asNumber = (value: string): unknown => (/^\d+$/u.test(value) ? Number(value) : value);

const asYesOrNo = (value: string): unknown => (value === 'true' ? true : value === 'false' ? false : value);

const asList = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

/** `127.0.0.1:8080=hello.demo:80`, several of them with commas between. */
const asUpstreams = (value: string): unknown =>
  asList(value).map((item) => {
    const [listen, service] = item.split('=', 2);
    return { listen, service: service ?? '' };
  });

const asAddress = (value: string): unknown => {
  const parsed = parseAddress(value);
  // Told once, of the port: the host stands in.
  return parsed ?? { host: '127.0.0.1', port: value };
};

/**
 * Every environment variable that the sidecar reads, but for the bootstrap's own. None ends in _PORT
 * or _SERVICE_HOST: Kubernetes sets such variables in every pod for a Service that is called cortexflow.
 */
export const VARIABLES: readonly Variable[] = [
  { name: 'CORTEXFLOW_NODE_ID', path: ['node', 'id'], read: asText },
  { name: 'CORTEXFLOW_CLUSTER', path: ['node', 'cluster'], read: asText },
  { name: 'CORTEXFLOW_ZONE', path: ['node', 'zone'], read: asText },
  { name: 'CORTEXFLOW_NODE_NAME', path: ['node', 'nodeName'], read: asText },
  { name: 'CORTEXFLOW_NAMESPACE', path: ['node', 'namespace'], read: asText },
  { name: 'CORTEXFLOW_CONTROL_PLANE', path: ['controlPlane', 'addresses'], read: asList },
  {
    name: 'CORTEXFLOW_CONTROL_PLANE_REQUIRED',
    path: ['controlPlane', 'required'],
    read: asYesOrNo,
  },
  { name: 'CORTEXFLOW_CONTROL_PLANE_WAIT_MS', path: ['controlPlane', 'waitMs'], read: asNumber },
  { name: 'CORTEXFLOW_UPSTREAMS', form: 'listen=service, …', path: ['upstreams'], read: asUpstreams },
  { name: 'CORTEXFLOW_DNS_LISTEN', path: ['dns', 'listen'], read: asList },
  { name: 'CORTEXFLOW_DNS_UPSTREAMS', path: ['dns', 'upstreams'], read: asList },
  { name: 'CORTEXFLOW_DNS_CLUSTER_DOMAIN', path: ['dns', 'clusterDomain'], read: asText },
  { name: 'CORTEXFLOW_DNS_CACHE_BYTES', path: ['dns', 'cacheBytes'], read: asNumber },
  { name: 'CORTEXFLOW_MESSAGES_DELIVER_TO', path: ['messages', 'deliverTo'], read: asText },
  { name: 'CORTEXFLOW_MESSAGES_LISTEN', path: ['messages', 'listen'], read: asList },
  { name: 'CORTEXFLOW_MESSAGES_MAX_CONNECTIONS', path: ['messages', 'maxConnections'], read: asNumber },
  { name: 'CORTEXFLOW_MESSAGES_PER_SECOND', path: ['messages', 'messagesPerSecond'], read: asNumber },
  {
    name: 'CORTEXFLOW_MESSAGES_DELIVERY_TIMEOUT_MS',
    path: ['messages', 'deliveryTimeoutMs'],
    read: asNumber,
  },
  { name: 'CORTEXFLOW_ADMIN_ADDRESS', form: 'host:port', path: ['admin'], read: asAddress },
  { name: 'CORTEXFLOW_LAST_GOOD_FILE', path: ['lastGoodFile'], read: asText },
  { name: 'CORTEXFLOW_LOG_LEVEL', path: ['log', 'level'], read: asText },
  { name: 'CORTEXFLOW_LOG_FORMAT', path: ['log', 'format'], read: asText },
  { name: 'CORTEXFLOW_MAX_CONNECTIONS', path: ['limits', 'maxConnections'], read: asNumber },
  { name: 'CORTEXFLOW_CONNECT_TIMEOUT_MS', path: ['limits', 'connectTimeoutMs'], read: asNumber },
  { name: 'CORTEXFLOW_CONNECT_ATTEMPTS', path: ['limits', 'connectAttempts'], read: asNumber },
  { name: 'CORTEXFLOW_IDLE_TIMEOUT_MS', path: ['limits', 'idleTimeoutMs'], read: asNumber },
  { name: 'CORTEXFLOW_MAX_FLOWS', path: ['limits', 'maxFlows'], read: asNumber },
  { name: 'CORTEXFLOW_FLOW_IDLE_TIMEOUT_MS', path: ['limits', 'flowIdleTimeoutMs'], read: asNumber },
  { name: 'CORTEXFLOW_ENDPOINTS_WAIT_MS', path: ['limits', 'endpointsWaitMs'], read: asNumber },
  { name: 'CORTEXFLOW_ENDPOINTS_IDLE_MS', path: ['endpointsIdleMs'], read: asNumber },
  { name: 'CORTEXFLOW_DRAIN_MS', path: ['drainMs'], read: asNumber },
];
