import { isIP } from 'node:net';
import * as v from 'valibot';
import { DnsSchema } from './dns.ts';
import { parseAddress } from '../../process/environment.ts';
import { LEVELS } from '../../process/log.ts';
import { PORTS } from '../../wire/pod.ts';
import { DEFAULT_FLOW_LIMITS } from '../flows/limits.ts';
import { DEFAULT_LIMITS } from '../forward/limits.ts';
import { list, milliseconds, oneOf, portNumber, received, section, text, whole, yesOrNo } from './fields.ts';
import { InterceptionSchema } from './interception.ts';
import { MessagesSchema } from './messages.ts';
import { UpstreamsSchema } from './upstreams.ts';

const controlPlaneAddress = v.pipe(
  text,
  v.check(
    (input) => (parseAddress(input)?.port ?? 0) > 0,
    ({ input }) => `must be host:port, such as 127.0.0.1:18000 or [::1]:18000, and is ${received(input)}`,
  ),
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
  /** Answers DNS requests; not at all where it is left out. */
  dns: v.optional(DnsSchema),
  /** How the workload's connections come here by themselves; not at all where it is left out. */
  interception: v.optional(InterceptionSchema),
  /** Messages of other programs, on connections that are made to the sidecar itself. */
  messages: v.optional(MessagesSchema, {}),
  upstreams: v.optional(UpstreamsSchema, []),
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
      maxFlows: v.optional(whole(1, 1_000_000, 'whole number'), DEFAULT_FLOW_LIMITS.maxFlows),
      flowIdleTimeoutMs: v.optional(milliseconds, DEFAULT_FLOW_LIMITS.flowIdleTimeoutMs),
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
