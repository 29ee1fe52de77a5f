interface Balanced {
  /** `namespace/name`. */
  readonly service: string;
  readonly port: number;
  readonly protocol: string;
  readonly balance: string;
}

/**
 * Upstreams that ask for different policies for one port of a Service, as phrases that go after `upstreams`. What
 * a picker knows of its endpoints counts for all connections to a port, whichever upstream they come through: so
 * there is one picker for each port, and one policy.
 */
export function policyClashes(upstreams: readonly Balanced[]): readonly string[] {
  const first = new Map<string, number>();
  return upstreams.flatMap(({ service, port, protocol, balance }, index) => {
    const target = `port ${port}/${protocol} of Service ${service}`;
    const earlier = first.get(target) ?? index;
    first.set(target, earlier);
    const other = upstreams[earlier]?.balance;
    return other === balance
      ? []
      : [
          `lead to ${target} with ${other} in [${earlier}] and ${balance} in [${index}]: give both one balance`,
        ];
  });
}
