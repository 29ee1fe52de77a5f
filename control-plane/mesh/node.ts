import { Field, Problems } from './field.ts';
import { checkIdentity } from './name.ts';
import type { Identity } from './object.ts';
import type { Parsed } from './parsed.ts';
import { parsed } from './parsed.ts';

/** A Kubernetes Node, as far as it concerns the mesh. */
export interface Node {
  readonly name: string;
  /** Empty: nobody has said. */
  readonly zone: string;
}

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#topologykubernetesiozone */
export const ZONE_LABEL = 'topology.kubernetes.io/zone';

/** Reads a `v1 Node` by the rules of the Kubernetes API. Never throws. */
export function parseNode(object: unknown, identity: Identity<'Node'>): Parsed<Node> {
  const [problems, warnings] = [new Problems(), new Problems()];
  const root = new Field(object, '', problems);
  checkIdentity(root, identity);
  const zone = root.at('metadata').at('labels').at(ZONE_LABEL).text();
  return parsed({ name: identity.name, zone }, problems, warnings);
}
