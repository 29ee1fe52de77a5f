import { create } from '@bufbuild/protobuf';
import { NodeSchema } from '../../gen/envoy/config/core/v3/base_pb.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base_pb.ts';

/** Who this sidecar is. Empty where unknown. */
export interface Identity {
  readonly id: string;
  readonly cluster: string;
  readonly zone: string;
  readonly nodeName: string;
  readonly namespace: string;
}

/** Of which Kubernetes node the zone is to be asked for; undefined: of none, it was given or cannot be known. */
export function nodeToLearnFrom({ zone, nodeName }: Identity): string | undefined {
  return zone === '' && nodeName !== '' ? nodeName : undefined;
}

/** How it introduces itself to a control plane. */
export function wireNode({ id, cluster, zone, nodeName, namespace }: Identity): Node {
  return create(NodeSchema, {
    id,
    cluster,
    locality: { zone },
    metadata: { namespace, nodeName },
    userAgentName: 'cortexflow-sidecar',
  });
}
