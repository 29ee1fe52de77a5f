import { fromBinary } from '@bufbuild/protobuf';
import { NodeSchema } from '../../gen/envoy/config/core/v3/base_pb.ts';
import type { Node } from '../../gen/envoy/config/core/v3/base_pb.ts';

/** Kept as bytes and read when somebody asks: a thousand of them are seldom looked at. */
export function nodeOf(bytes: Uint8Array | undefined): Node | undefined {
  if (bytes === undefined) return undefined;
  try {
    return fromBinary(NodeSchema, bytes);
  } catch {
    return undefined;
  }
}
