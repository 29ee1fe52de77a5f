import type { Field, Problems } from './field.ts';

export type Protocol = 'tcp' | 'udp';

/** Undefined: Kubernetes knows the protocol and the mesh does not carry it; the port is to be left out. */
export function carriedProtocol(field: Field, warnings: Problems): Protocol | undefined {
  if (field.value !== 'SCTP') return field.choice<Protocol>({ TCP: 'tcp', UDP: 'udp' });
  warnings.add(`${field.describe()}: the mesh carries TCP and UDP; this port is left out`);
  return undefined;
}
