import type { DeltaDiscoveryResponse, Resource } from '../../gen/envoy/service/discovery/v3/discovery_pb.ts';

/** What a response says of these is unclear. */
export function namesGivenTwice({
  resources,
  removedResources,
}: DeltaDiscoveryResponse): ReadonlySet<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  const names = [...resources.map(({ name }) => name), ...new Set(removedResources)];
  for (const name of names) {
    (seen.has(name) ? twice : seen).add(name);
  }
  return twice;
}

/** Why a resource cannot even be looked into: a phrase that goes after its name and a colon. */
export function problemWith({ name, resource }: Resource, typeUrl: string): string | undefined {
  if (name === '') {
    return 'is a resource without a name';
  }
  if (resource === undefined) {
    return 'carries no content';
  }
  return resource.typeUrl === typeUrl
    ? undefined
    : `carries ${resource.typeUrl === '' ? 'content of no type' : resource.typeUrl} in a response of ${typeUrl}`;
}
