import type { EndpointSlice, IpFamily, Service, ServicePort } from './service.ts';

interface Sought {
  readonly service: Service;
  readonly port: ServicePort;
  readonly families: readonly IpFamily[];
  readonly place: { readonly node: string };
}

/** One sentence on why no endpoint of a Service may take a connection, for whoever has to mend it. */
export function explainAbsence(
  slices: ReadonlyMap<string, { readonly slice: EndpointSlice }>,
  { service, port, families, place }: Sought,
): string {
  const all = [...slices.values()].map(({ slice }) => slice).filter(({ endpoints }) => endpoints.length > 0);
  const name = `Service ${service.key}`;
  if (all.length === 0) {
    return `${name} has no endpoints: check that pods run which its selector matches.`;
  }
  const inFamily = all.filter(({ family }) => families.includes(family));
  if (inFamily.length === 0) {
    return `${name} has no ${families.join(' or ')} endpoints.`;
  }
  const onPort = inFamily.filter(({ ports }) =>
    ports.some((target) => target.name === port.name && target.protocol === port.protocol),
  );
  if (onPort.length === 0) {
    return `${name} has endpoints, but none for its port ${port.port}/${port.protocol}: check that its targetPort exists in the pods.`;
  }
  const endpoints = onPort.flatMap((slice) => slice.endpoints);
  const serving = endpoints.some(({ health }) => health !== 'not-ready');
  if (serving && service.internalTrafficPolicy === 'local') {
    const node = place.node === '' ? 'this node, whose name the sidecar was not told' : `node ${place.node}`;
    return `${name} has internalTrafficPolicy: Local and no ready endpoint on ${node}.`;
  }
  return `${name} has endpoints (${endpoints.length}), and none is ready: check the pods' readiness probes.`;
}
