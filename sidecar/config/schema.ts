import { isIP } from 'node:net';
import * as v from 'valibot';
import { policyClashes } from './policies.ts';
import type { Address } from '../../process/environment.ts';
import { parseAddress } from '../../process/environment.ts';
import { LEVELS } from '../../process/log.ts';
import { PORTS } from '../../wire/pod.ts';
import { DEFAULT_LIMITS } from '../forward/limits.ts';
import { DEFAULT_MESSAGE_LIMITS } from '../message/limits.ts';
import { list, milliseconds, oneOf, portNumber, received, section, text, whole, yesOrNo } from './fields.ts';
import { InterceptionSchema } from './interception.ts';

/** A local address whose connections go to a Service. */
export interface Upstream {
  readonly listen: Address;
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  readonly protocol: 'tcp';
  readonly balance: (typeof BALANCES)[number];
}

/** `least-latency`: power of two choices over peak EWMA latency times load. */
const BALANCES = ['least-latency', 'round-robin', 'least-request', 'consistent-hash'] as const;

/** name.namespace[.svc[.cluster.local]]:port, name and namespace as DNS labels (RFC 1123). */
const SERVICE =
  /^(?<name>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.(?<namespace>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.svc(?:\.(?<domain>[a-z0-9.-]+))?)?:(?<port>\d{1,5})(?:\/(?<protocol>\w+))?$/u;

function isPort(port: number, lowest: 0 | 1): boolean {
  return port >= lowest && port <= 65_535;
}

const controlPlaneAddress = v.pipe(
  text,
  v.check(
    (input) => (parseAddress(input)?.port ?? 0) > 0,
    ({ input }) => `must be host:port, such as 127.0.0.1:18000 or [::1]:18000, and is ${received(input)}`,
  ),
);

const listenAddress = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const address = parseAddress(dataset.value);
    if (address === undefined) {
      addIssue({
        message: `must be the local address to listen on, such as 127.0.0.1:8080 or [::1]:8080, and is ${received(dataset.value)}`,
      });
      return NEVER;
    }
    if (address.host === 'localhost') {
      return { ...address, host: '127.0.0.1' };
    }
    if (isIP(address.host) === 0) {
      addIssue({
        message: `must begin with an IP address of this machine, and is ${received(dataset.value)}`,
      });
      return NEVER;
    }
    return address;
  }),
);

/** Handed to as it is: what is no URL of plain HTTP would fail with the first message. */
const httpUrl = v.pipe(
  text,
  v.check(
    (input) => URL.canParse(input) && new URL(input).protocol === 'http:',
    ({ input }) =>
      `must be an address of plain HTTP, such as http://127.0.0.1:7000/messages, and is ${received(input)}`,
  ),
);

const serviceAddress = v.pipe(
  text,
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const { name, namespace, domain, port, protocol } = SERVICE.exec(dataset.value)?.groups ?? {};
    if (protocol === 'udp') {
      addIssue({
        message: `asks for UDP (${received(dataset.value)}), which upstreams do not carry yet: leave it out until they do`,
      });
      return NEVER;
    }
    if (!isPort(Number(port), 1) || (protocol ?? 'tcp') !== 'tcp') {
      addIssue({
        message: `must be name.namespace:port, such as hello.demo:80, and is ${received(dataset.value)}`,
      });
      return NEVER;
    }
    if ((domain ?? 'cluster.local') !== 'cluster.local') {
      addIssue({
        message: `names the cluster domain ${domain} (${received(dataset.value)}): leave it out, the mesh is one cluster`,
      });
      return NEVER;
    }
    return { service: `${namespace}/${name}`, port: Number(port), protocol: 'tcp' as const };
  }),
);

const adminHost = v.pipe(
  text,
  v.check(
    (input) => isIP(input) === 6 || parseAddress(`${input}:1`)?.host === input,
    ({ input }) => `must be an IP address or a host name, and is ${received(input)}`,
  ),
);

/** The file, field by field. What the file leaves out has the default that stands here. */
export const BootstrapSchema = section({
  node: v.optional(
    section({
      /** Who this sidecar is in the control plane's view; the host's name where it is left out. */
      id: v.optional(text),
      cluster: v.optional(text, ''),
      zone: v.optional(text, ''),
      nodeName: v.optional(text, ''),
      namespace: v.optional(text, ''),
    }),
    {},
  ),
  controlPlane: v.optional(
    section({
      addresses: v.optional(
        v.pipe(list(controlPlaneAddress), v.minLength(1, 'must name at least one control plane')),
        ['127.0.0.1:18000'],
      ),
      /** With interception: whether the workload must not start before a control plane has answered. */
      required: v.optional(yesOrNo, false),
      /** With interception, where none is required: for how long one is waited for. */
      waitMs: v.optional(milliseconds, 10_000),
    }),
    {},
  ),
  /** How the workload's connections come here by themselves; not at all where it is left out. */
  interception: v.optional(InterceptionSchema),
  upstreams: v.optional(
    v.pipe(
      list(
        section({
          listen: listenAddress,
          service: serviceAddress,
          balance: v.optional(oneOf(BALANCES), 'least-latency'),
        }),
      ),
      v.check((upstreams) => {
        // Port 0 asks for a free one, another each time.
        const fixed = upstreams.filter(({ listen }) => listen.port !== 0);
        return new Set(fixed.map(({ listen }) => `${listen.host} ${listen.port}`)).size === fixed.length;
      }, 'listen on one address more than once: give each upstream its own'),
      v.check(
        (upstreams) => policyClashes(upstreams).length === 0,
        ({ input }) => policyClashes(input).join('; and '),
      ),
    ),
    [],
  ),
  /** Messages from other programs, on connections that are made to the sidecar itself. */
  messages: v.optional(
    section({
      /** Who takes those for this workload; left out: they are acknowledged and logged. */
      deliverTo: v.optional(httpUrl),
      /** Where they are taken besides the port that outbound connections are redirected to. */
      listen: v.optional(list(listenAddress), []),
      maxConnections: v.optional(whole(1, 1_000_000, 'whole number'), DEFAULT_MESSAGE_LIMITS.maxConnections),
      /** On each connection. */
      messagesPerSecond: v.optional(
        whole(1, 1_000_000, 'whole number'),
        DEFAULT_MESSAGE_LIMITS.messagesPerSecond,
      ),
      /** How long the workload may take to answer. */
      deliveryTimeoutMs: v.optional(milliseconds, DEFAULT_MESSAGE_LIMITS.deliveryTimeoutMs),
    }),
    {},
  ),
  admin: v.optional(
    section({ host: v.optional(adminHost, '127.0.0.1'), port: v.optional(portNumber, PORTS.admin) }),
    {},
  ),
  /** Where the last good table is kept; nowhere where it is left out. */
  lastGoodFile: v.optional(v.pipe(text, v.nonEmpty('must be the path of a file, and is empty'))),
  log: v.optional(
    section({
      level: v.optional(oneOf(LEVELS), 'info'),
      /** `auto`: text on a terminal, else json. */
      format: v.optional(oneOf(['auto', 'json', 'text']), 'auto'),
    }),
    {},
  ),
  limits: v.optional(
    section({
      maxConnections: v.optional(whole(1, 1_000_000, 'whole number'), DEFAULT_LIMITS.maxConnections),
      connectTimeoutMs: v.optional(milliseconds, DEFAULT_LIMITS.connectTimeoutMs),
      connectAttempts: v.optional(whole(1, 100, 'whole number'), DEFAULT_LIMITS.connectAttempts),
      idleTimeoutMs: v.optional(milliseconds, DEFAULT_LIMITS.idleTimeoutMs),
      /** How long a connection waits for the first word of a Service. */
      endpointsWaitMs: v.optional(milliseconds, 2000),
    }),
    {},
  ),
  /** How long a Service's endpoints are held after their last use. */
  endpointsIdleMs: v.optional(milliseconds, 300_000),
  /** How long connections may go on after the sidecar was told to end. */
  drainMs: v.optional(milliseconds, 30_000),
});
