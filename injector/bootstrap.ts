import { PORTS, PROXY_UID } from '../wire/pod.ts';
import { STATE_DIRECTORY } from './names.ts';
import type { Options } from './options.ts';

/** How long a pod without `require-control-plane` waits for a control plane before it goes on without one. */
const CONTROL_PLANE_WAIT_MS = 10_000;

export interface BootstrapSettings {
  /** `host:port`. A sidecar begins with any one of them, and goes on to the next. */
  readonly controlPlane: readonly string[];
  /** Where the sidecar's admin page listens: the kubelet asks for it at the pod's address. */
  readonly adminHost: string;
}

/** What both containers read from CORTEXFLOW_BOOTSTRAP: the rules that are made, and who serves behind them. */
export function bootstrapOf(options: Options, { controlPlane, adminHost }: BootstrapSettings) {
  return {
    controlPlane: {
      addresses: controlPlane,
      required: options.requireControlPlane ?? false,
      waitMs: CONTROL_PLANE_WAIT_MS,
    },
    interception: {
      proxyUid: PROXY_UID,
      outbound: {
        port: PORTS.outbound,
        exclude: exclusions(options.excludeOutboundPorts, options.excludeOutboundCidrs),
      },
      inbound: {
        port: PORTS.inbound,
        exclude: exclusions(options.excludeInboundPorts, options.excludeInboundCidrs),
      },
    },
    ...((options.interceptDns ?? true) ? { dns: {} } : {}),
    admin: { host: adminHost, port: PORTS.admin },
    upstreams: (options.upstreams ?? []).map(({ listen, service }) => ({ listen, service })),
    ...(options.deliverMessagesTo === undefined
      ? {}
      : { messages: { deliverTo: options.deliverMessagesTo } }),
    log: { level: options.logLevel ?? 'info', format: 'json' },
    lastGoodFile: `${STATE_DIRECTORY}/last-good.json`,
  };
}

function exclusions(
  ports: Options['excludeOutboundPorts'] = [],
  cidrs: Options['excludeOutboundCidrs'] = [],
) {
  return { ports, cidrs };
}
