/** Annotations and labels of ours begin with this, but for `proxy-injection`. */
export const PREFIX = 'cortexflow.io/';

/** Annotation or label of a pod or a namespace: `enabled` or `disabled`. */
export const INJECTION = 'proxy-injection';

/** Label of the mesh's own pods. */
export const COMPONENT_LABEL = `${PREFIX}component`;

/** Label of every pod that has a sidecar: the control plane looks for it. */
export const INJECTED_LABEL = `${PREFIX}injected`;

export const INIT_CONTAINER = 'proxy-init';
export const SIDECAR_CONTAINER = 'proxy-sidecar';
export const STATE_VOLUME = 'cortexflow-state';
export const STATE_DIRECTORY = '/var/lib/cortexflow';

/** The user that the sidecar runs as: what this user sends is not intercepted. */
export const PROXY_UID = 2102;

/** Where the sidecar listens, in every pod. */
export const PORTS = { first: 5053, outbound: 5054, inbound: 5056, admin: 5058, last: 5058 } as const;
