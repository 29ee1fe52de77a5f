import { PORTS, PROXY_UID } from '../wire/pod.ts';
import { type BootstrapSettings, bootstrapOf } from './bootstrap.ts';
import {
  BOOTSTRAP_VARIABLE,
  INIT_CONTAINER,
  SIDECAR_CONTAINER,
  STATE_DIRECTORY,
  STATE_VOLUME,
} from './names.ts';
import type { Options } from './options.ts';
import { type ResourceDefaults, type Resources, resourcesOf } from './resources.ts';

/** What is the same for all pods. */
export interface ProxySettings extends BootstrapSettings {
  readonly image: string;
  readonly resources: ResourceDefaults;
}

export interface ProxyContainers {
  readonly init: object;
  readonly sidecar: object;
}

/**
 * The two containers that make a pod's proxy. With `sharesBudget` the pod as a whole has requests and limits
 * (KEP-2837), which its containers' must fit in: the proxy's then get only those that the pod asks for.
 */
export function proxyContainers(
  options: Options,
  settings: ProxySettings,
  sharesBudget: boolean,
): ProxyContainers {
  const common = {
    image: options.image ?? settings.image,
    env: environmentOf(options, settings),
    // Asked for by both, and still counted once by the scheduler: the one has ended before the other begins.
    resources: resourcesOf(options, sharesBudget ? {} : settings.resources),
  };
  return { init: initContainer(common), sidecar: sidecarContainer(common) };
}

interface Common {
  readonly image: string;
  readonly env: readonly object[];
  readonly resources: Resources;
}

/** Makes the rules that send the pod's connections to the sidecar, and ends. It alone may change the network. */
function initContainer({ image, env, resources }: Common): object {
  return {
    name: INIT_CONTAINER,
    image,
    command: ['node', 'sidecar/proxy-init/main.ts'],
    env,
    resources,
    securityContext: {
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      ...NO_PRIVILEGES,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
    },
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** A native sidecar (KEP-753): it is up before the application starts, and ends after it. */
function sidecarContainer({ image, env, resources }: Common): object {
  return {
    name: SIDECAR_CONTAINER,
    image,
    restartPolicy: 'Always',
    env,
    ports: [{ name: 'proxy-admin', containerPort: PORTS.admin, protocol: 'TCP' }],
    resources,
    // An hour of waiting for a control plane that is required; then a fresh start.
    startupProbe: {
      httpGet: { path: '/readyz', port: PORTS.admin },
      periodSeconds: 1,
      failureThreshold: 3_600,
    },
    securityContext: {
      runAsUser: PROXY_UID,
      runAsGroup: PROXY_UID,
      runAsNonRoot: true,
      ...NO_PRIVILEGES,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: STATE_VOLUME, mountPath: STATE_DIRECTORY }],
    terminationMessagePolicy: 'FallbackToLogsOnError',
  };
}

/** Said in full, since what the pod says for all of its containers stands for what is left out. */
const NO_PRIVILEGES = {
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  seccompProfile: { type: 'RuntimeDefault' },
} as const;

function environmentOf(options: Options, settings: ProxySettings): object[] {
  return [
    fromField('CORTEXFLOW_POD_NAME', 'metadata.name'),
    fromField('CORTEXFLOW_NAMESPACE', 'metadata.namespace'),
    fromField('CORTEXFLOW_NODE_NAME', 'spec.nodeName'),
    { name: 'CORTEXFLOW_NODE_ID', value: '$(CORTEXFLOW_NAMESPACE)/$(CORTEXFLOW_POD_NAME)' },
    { name: BOOTSTRAP_VARIABLE, value: verbatim(JSON.stringify(bootstrapOf(options, settings))) },
  ];
}

function fromField(name: string, fieldPath: string): object {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

/** The kubelet puts variables in place of `$(…)`, and `$` in place of `$$`, in values, commands and arguments. */
function verbatim(value: string): string {
  return value.replaceAll('$', () => '$$');
}
