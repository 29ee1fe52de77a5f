/** What a pod of the mesh is known by: the injector writes it, the sidecar and the control plane act upon it. */

/** Label of every pod that has a sidecar, with the value "true": the control plane looks for it. */
export const INJECTED_LABEL = 'cortexflow.io/injected';

/** The user that the sidecar runs as: what this user sends is not intercepted. */
export const PROXY_UID = 2102;

/** Where the sidecar listens, in every pod; all from `first` to `last` are its own, now and later. */
export const PORTS = { first: 5053, outbound: 5054, inbound: 5056, admin: 5058, last: 5058 } as const;
