/** `namespace/name`, as on the wire. */
export type ServiceKey = string;

export type Protocol = 'tcp' | 'udp';
export type IpFamily = 'ipv4' | 'ipv6';

/** A Kubernetes Service, as the sidecar needs it. */
export interface Service {
  readonly key: ServiceKey;
  readonly namespace: string;
  readonly name: string;
  /** `other`: another proxy's, or one that cannot be read. No more is known of it than that it exists. */
  readonly type: 'cluster-ip' | 'headless' | 'external-name' | 'other';
  /** Virtual addresses, the primary family's first. */
  readonly clusterIps: readonly string[];
  /** The primary family first. */
  readonly ipFamilies: readonly IpFamily[];
  /** Set only for `external-name`. */
  readonly externalName: string | undefined;
  readonly ports: readonly ServicePort[];
  /** How long a client address keeps its endpoint; undefined: no affinity. */
  readonly affinityTimeoutMs: number | undefined;
  readonly trafficDistribution: 'cluster-wide' | 'prefer-same-zone' | 'prefer-same-node';
  readonly internalTrafficPolicy: 'cluster' | 'local';
}

export interface ServicePort {
  /** Joins this port to the slices' port of the same name; empty where the Service has one unnamed port. */
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly appProtocol: string;
}

/** One EndpointSlice of a Service. */
export interface EndpointSlice {
  /** `namespace/service/slice`, as on the wire. */
  readonly key: string;
  readonly service: ServiceKey;
  readonly family: IpFamily;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
  /** Set where the control plane could not read all of it: what is missing here proves nothing. */
  readonly incomplete?: true;
}

export interface EndpointPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** One address that serves a Service, on the ports of its slice. */
export interface Endpoint {
  readonly address: string;
  readonly health: 'ready' | 'terminating' | 'not-ready';
  readonly hostname: string;
  readonly node: string;
  readonly zone: string;
  /** Whose clients this endpoint is meant for; empty: everybody's. */
  readonly zoneHints: readonly string[];
  readonly nodeHints: readonly string[];
  readonly pod: string;
  /** Whom that pod runs as, in the Service's namespace; empty unless it is in the mesh. */
  readonly serviceAccount: string;
  /** Whether a sidecar stands in front of that pod. */
  readonly inMesh: boolean;
}
