import { create } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { BadRequestSchema } from '../../gen/google/rpc/error_details_pb.ts';
import type { Status } from '../../gen/google/rpc/status_pb.ts';
import { StatusSchema } from '../../gen/google/rpc/status_pb.ts';

/** A resource that was not taken. `reason` is a phrase that goes after the name and a colon. */
export interface Rejection {
  readonly name: string;
  readonly reason: string;
}

/** gRPC's INVALID_ARGUMENT. */
const INVALID_ARGUMENT = 3;
/** However much was wrong, a NACK stays well below the size of a message. */
const MAX_TOLD = 100;
const MAX_TEXT = 500;

/** The error_detail of a NACK: the sentence for people, the details for programs. */
export function rejectionStatus(rejections: readonly Rejection[]): Status {
  const told = rejections.slice(0, MAX_TOLD).map(({ name, reason }) => ({
    field: shortened(name),
    description: shortened(reason),
  }));
  const untold = rejections.length - told.length;
  // A violation without a field says that the list is not complete: the control plane must not take it for that.
  const rest = untold > 0 ? [{ field: '', description: `and ${untold} more` }] : [];
  const details = create(BadRequestSchema, { fieldViolations: [...told, ...rest] });
  const sentences = told.map(
    ({ field, description }) => `${field === '' ? '(unnamed)' : field}: ${description}`,
  );
  return create(StatusSchema, {
    code: INVALID_ARGUMENT,
    message: [...sentences, ...(untold > 0 ? [`and ${untold} more`] : [])].join('; '),
    details: [anyPack(BadRequestSchema, details)],
  });
}

function shortened(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`;
}
