import type { EndpointSlice } from './endpoint-slice.ts';
import { parseEndpointSlice } from './endpoint-slice.ts';
import type { Node } from './node.ts';
import { parseNode } from './node.ts';
import type { Identity, Kind, ObjectIdentity } from './object.ts';
import { identify, unpackList } from './object.ts';
import type { Parsed } from './parsed.ts';
import type { Pod } from './pod.ts';
import { parsePod } from './pod.ts';
import type { Service } from './service.ts';
import { parseService } from './service.ts';
import type { MeshEvent } from './state.ts';

/** What an event comes to, aside from any state. */
export type Conversion = { readonly origin: string | undefined } & (
  | {
      readonly outcome: 'rejected';
      readonly identity: ObjectIdentity;
      readonly problems: readonly string[];
      /** What counts of it while it was never good. */
      readonly certain?: Next;
    }
  | { readonly outcome: 'deleted'; readonly next: Next }
  | { readonly outcome: 'accepted'; readonly next: Next; readonly warnings: readonly string[] }
);

/** An object as it is to stand in the state; undefined: not at all. */
export type Next = { readonly [K in Kind]: Identity<K> & { readonly value: Values[K] | undefined } }[Kind];

interface Values {
  readonly Service: Service;
  readonly EndpointSlice: EndpointSlice;
  readonly Pod: Pod;
  readonly Node: Node;
}

/** An event as values, a list as one for each of its objects. Never throws. */
export function convert(event: MeshEvent): readonly Conversion[] {
  if (event.type === 'delete') {
    return [{ outcome: 'deleted', next: { ...event, value: undefined }, origin: undefined }];
  }
  return unpackList(event.object).flatMap((object) => convertObject(object, event.origin));
}

/** Of an object that is not for the mesh, or that nobody can name, there is nothing to keep; who read it says so. */
function convertObject(object: unknown, origin: string | undefined): readonly Conversion[] {
  const identified = identify(object);
  if (identified.outcome !== 'identified') return [];
  const { identity } = identified;
  const result = parse(object, identity);
  return result.outcome === 'rejected'
    ? [{ ...result, identity, origin }]
    : [{ outcome: 'accepted', next: result.value, warnings: result.warnings, origin }];
}

function parse(object: unknown, identity: ObjectIdentity): Parsed<Next> {
  switch (identity.kind) {
    case 'Service':
      return named(identity, parseService(object, identity));
    case 'EndpointSlice':
      return named(identity, parseEndpointSlice(object, identity));
    case 'Pod':
      return named(identity, parsePod(object, identity));
    default:
      return named(identity, parseNode(object, identity));
  }
}

function named<I extends ObjectIdentity, V>(
  identity: I,
  result: Parsed<V>,
): Parsed<I & { readonly value: V }> {
  if (result.outcome === 'accepted') return { ...result, value: { ...identity, value: result.value } };
  const { certain, ...rejected } = result;
  return certain === undefined ? rejected : { ...rejected, certain: { ...identity, value: certain } };
}
