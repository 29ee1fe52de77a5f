/** A resource record as answers from the table have it. Names are lower case and without the root's dot. */
export type ResourceRecord = {
  readonly name: string;
  /** Seconds. */
  readonly ttl: number;
} & (
  | { readonly type: 'A' | 'AAAA'; readonly address: string }
  | { readonly type: 'CNAME' | 'PTR'; readonly target: string }
  /** RFC 2782. The priority is always 0. */
  | { readonly type: 'SRV'; readonly weight: number; readonly port: number; readonly target: string }
  /** Of the cluster's zone (RFC 1035, 3.3.13). */
  | { readonly type: 'SOA'; readonly serial: number }
);
