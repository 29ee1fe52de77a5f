/** Annotations and labels of ours begin with this, but for `proxy-injection`. */
export const PREFIX = 'cortexflow.io/';

/** Annotation or label of a pod or a namespace: `enabled` or `disabled`. */
export const INJECTION = 'proxy-injection';

/** Label of the mesh's own pods. */
export const COMPONENT_LABEL = `${PREFIX}component`;

export const INIT_CONTAINER = 'proxy-init';
export const SIDECAR_CONTAINER = 'proxy-sidecar';
/** Of both containers, which by it are known to be the proxy's. */
export const BOOTSTRAP_VARIABLE = 'CORTEXFLOW_BOOTSTRAP';
export const STATE_VOLUME = 'cortexflow-state';
export const STATE_DIRECTORY = '/var/lib/cortexflow';
