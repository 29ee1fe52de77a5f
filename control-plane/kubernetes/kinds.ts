import type { KubernetesObject } from '../../api-server/api-server.ts';
import { INJECTED_LABEL } from '../../wire/pod.ts';
import { type Kind, OTHER_PROXY_LABEL } from '../mesh/object.ts';

/** One kind of object that is listed and watched in the whole cluster. */
export interface FollowedKind {
  readonly kind: Kind;
  readonly path: string;
  readonly labelSelector?: string;
  readonly metadataOnly?: boolean;
  /**
   * The object with no more than the mesh reads of it. Between them Pods and Nodes have tens of kilobytes that
   * nobody here asks for, and all of a kind are held at once when it is listed.
   */
  readonly strip: (object: KubernetesObject) => KubernetesObject;
}

/** What the mesh is made of. What is added here needs a rule in k8s/base/control-plane/rbac.yaml. */
export const KINDS: readonly FollowedKind[] = [
  {
    kind: 'Service',
    path: '/api/v1/services',
    strip: ({ metadata, spec }) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: labelled(metadata),
      spec,
    }),
  },
  {
    kind: 'EndpointSlice',
    labelSelector: `!${OTHER_PROXY_LABEL}`,
    path: '/apis/discovery.k8s.io/v1/endpointslices',
    strip: ({ metadata, addressType, ports, endpoints }) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: labelled(metadata),
      addressType,
      ports,
      endpoints,
    }),
  },
  {
    kind: 'Pod',
    path: '/api/v1/pods',
    labelSelector: `${INJECTED_LABEL}=true`,
    strip: ({ metadata, spec, status }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: labelled(metadata),
      spec: {
        serviceAccountName: (spec as { serviceAccountName?: unknown } | undefined)?.serviceAccountName,
      },
      status: { podIPs: (status as { podIPs?: unknown } | undefined)?.podIPs },
    }),
  },
  {
    kind: 'Node',
    path: '/api/v1/nodes',
    metadataOnly: true,
    strip: ({ metadata }) => ({ apiVersion: 'v1', kind: 'Node', metadata: labelled(metadata) }),
  },
];

type Metadata = KubernetesObject['metadata'];

function named({ name, namespace }: Metadata): Metadata {
  return namespace === undefined ? { name } : { name, namespace };
}

function labelled(metadata: Metadata): Metadata {
  const { labels } = metadata;
  return labels === undefined ? named(metadata) : { ...named(metadata), labels };
}
