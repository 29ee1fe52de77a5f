import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { NodeSchema } from '../../gen/envoy/config/core/v3/base_pb.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base_pb.ts';
import { excerpt } from './excerpt.ts';
import { keptBytes } from './kept-bytes.ts';

/** Kept as bytes and read when somebody asks: a thousand of them are seldom looked at. */
export function nodeOf(bytes: Uint8Array | undefined): Node | undefined {
  if (bytes === undefined) return undefined;
  try {
    return fromBinary(NodeSchema, bytes);
  } catch {
    return undefined;
  }
}

/** In bytes: up to here a node is kept as it came. */
const SMALL_NODE = 4096;
const LONGEST_TEXT = 256;

/**
 * What is kept of a node for display: of a large one just its id, cluster, locality and user agent, so that
 * clients with much metadata do not make the status of all too large to be sent. Always a copy.
 */
export function keptNode(bytes: Uint8Array): Buffer {
  if (bytes.length <= SMALL_NODE) return keptBytes([bytes]);
  const node = nodeOf(bytes);
  if (node === undefined) return Buffer.alloc(0);
  const { locality, userAgentVersionType: version } = node;
  const kept = create(NodeSchema, {
    id: shortened(node.id),
    cluster: shortened(node.cluster),
    userAgentName: shortened(node.userAgentName),
    ...(version.case === 'userAgentVersion'
      ? { userAgentVersionType: { case: version.case, value: shortened(version.value) } }
      : {}),
    ...(locality === undefined
      ? {}
      : {
          locality: {
            region: shortened(locality.region),
            zone: shortened(locality.zone),
            subZone: shortened(locality.subZone),
          },
        }),
  });
  return keptBytes([toBinary(NodeSchema, kept)]);
}

function shortened(text = ''): string {
  return excerpt(text, LONGEST_TEXT);
}
