import { status } from '@grpc/grpc-js';
import type { Logger } from '../../process/log.ts';
import type { OutboxHost } from './outbox.ts';
import { overLimit } from './limits.ts';
import type { Limits } from './limits.ts';
import type { References } from './references.ts';
import { OverLimit } from './request.ts';
import type { DeltaRequest, SotwRequest } from './request.ts';
import type { Protocol } from './response.ts';
import type { Slices } from './slices.ts';
import type { CostHost } from './stream-costs.ts';
import type { Refusal } from './stream-end.ts';
import type { TypeServer } from './type-server.ts';

/** What streams of type `Stream` need of the engine that they belong to. */
export interface StreamHost<Stream> extends CostHost, OutboxHost {
  readonly logger: Logger;
  readonly slices: Slices;
  /** Where a type stands in the order in which changes of several are told. */
  readonly rank: (typeUrl: string) => number;
  /** Throws where the bytes are no request. */
  readonly read: (bytes: Buffer, protocol: Protocol) => DeltaRequest | SotwRequest;
  /** While this is so, clients are sent no removals: what the snapshot lacks may exist. */
  readonly isPartial: () => boolean;
  readonly serverOf: (typeUrl: string, protocol: Protocol) => TypeServer;
  readonly references: References;
  readonly behind: (streams: 1 | -1) => void;
  readonly refused: () => void;
  /** So many resources were sent that are larger than clients can be expected to receive. */
  readonly oversized: (resources: number) => void;
  readonly ended: (stream: Stream) => void;
}

export interface StreamKind {
  readonly protocol: Protocol;
  /** The one type it carries; undefined: any. */
  readonly typeUrl: string | undefined;
}

/** It goes into messages and logs. */
const LONGEST_TYPE_URL = 512;

/** Why a request for this type is refused on a stream of this kind. */
export function typeProblem(typeUrl: string, kind: StreamKind): string | undefined {
  if (typeUrl === '') return 'type_url is empty: an aggregated stream has to name the type.';
  if (typeUrl.length > LONGEST_TYPE_URL) return `type_url is longer than ${LONGEST_TYPE_URL} characters.`;
  if (kind.typeUrl === undefined || typeUrl === kind.typeUrl) return undefined;
  return `This service serves ${kind.typeUrl} and not ${typeUrl}: use the aggregated one for any type.`;
}

/** Why bytes that could not be read are refused. */
export function refusalOf(cause: unknown, limits: Limits): Refusal {
  if (cause instanceof OverLimit) {
    const { limit, value } = cause;
    return { code: status.RESOURCE_EXHAUSTED, details: overLimit(limit, value, limits[limit]) };
  }
  const message = cause instanceof Error ? cause.message : String(cause);
  return { code: status.INVALID_ARGUMENT, details: `This is no discovery request: ${message}` };
}
