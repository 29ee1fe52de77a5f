import type { PersistentMap } from '../xds/persistent-map.ts';
import type { EndpointSlice } from './endpoint-slice.ts';

/** `namespace/pod` to the `namespace/slice` of each slice with an endpoint that the pod is behind. */
export type SlicesByPod = PersistentMap<readonly string[]>;

/** The index once the slice of this key has changed; undefined: it was not, or is not, there. */
export function withSlice(
  index: SlicesByPod,
  slice: string,
  {
    before,
    after,
  }: { readonly before: EndpointSlice | undefined; readonly after: EndpointSlice | undefined },
): SlicesByPod {
  const [named, names] = [podsOf(before), podsOf(after)];
  return index.edit((draft) => {
    for (const pod of named.difference(names)) {
      const others = (draft.get(pod) ?? []).filter((other) => other !== slice);
      if (others.length === 0) draft.delete(pod);
      else draft.set(pod, others);
    }
    for (const pod of names.difference(named)) draft.set(pod, [...(draft.get(pod) ?? []), slice]);
  });
}

function podsOf(slice: EndpointSlice | undefined): Set<string> {
  const pods = new Set<string>();
  for (const { pod } of slice?.endpoints ?? []) if (pod !== '') pods.add(`${slice?.namespace}/${pod}`);
  return pods;
}
