import { create, fromBinary } from '@bufbuild/protobuf';
import type { Any, Timestamp } from '@bufbuild/protobuf/wkt';
import { AnySchema, timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  ClientResourceStatus,
  UpdateFailureStateSchema,
} from '../../gen/envoy/admin/v3/config_dump_shared_pb.ts';
import type { UpdateFailureState } from '../../gen/envoy/admin/v3/config_dump_shared_pb.ts';
import {
  ClientConfig_GenericXdsConfigSchema,
  ConfigStatus,
} from '../../gen/envoy/service/status/v3/csds_pb.ts';
import type { ClientConfig_GenericXdsConfig } from '../../gen/envoy/service/status/v3/csds_pb.ts';
import type { Acknowledgements, Rejection } from './acknowledgements.ts';
import { anyOf } from './resource.ts';
import type { Resource } from './resource.ts';
import { allHeld, held, told } from './subscription.ts';
import type { Subscription } from './subscription.ts';

/** One client's dealings with one type, as far as its status goes. */
export interface TypeStatus {
  readonly typeUrl: string;
  readonly subscription: Subscription;
  readonly acknowledgements: Acknowledgements;
}

/** Where each resource of one type stands with one client: those it was sent, then the names that stand for nothing. */
export function* resourceStatuses(
  status: TypeStatus,
  withContents: boolean,
): Generator<ClientConfig_GenericXdsConfig> {
  for (const resource of allHeld(status.subscription)) yield statusOf(status, resource, withContents);
  for (const name of status.subscription.names.keys()) {
    if (told(status.subscription, name).size === 0) yield absenceOf(status, name);
  }
}

function statusOf(
  { typeUrl, acknowledgements }: TypeStatus,
  resource: Resource,
  withContents: boolean,
): ClientConfig_GenericXdsConfig {
  const { name, version } = resource;
  const rejection = acknowledgements.rejected.get(name);
  const lastUpdated = timeOf(acknowledgements);
  const isRejected = rejection?.version === version;
  if (isRejected && rejection.reason !== undefined) {
    return create(ClientConfig_GenericXdsConfigSchema, {
      typeUrl,
      name,
      versionInfo: rejection.acceptedVersion,
      configStatus: ConfigStatus.ERROR,
      clientStatus: ClientResourceStatus.NACKED,
      errorState: failureOf(resource, rejection, withContents),
      ...lastUpdated,
    });
  }
  const content = withContents ? contentOf(resource) : undefined;
  const isAccepted = !isRejected && held(acknowledgements.answered, name)?.version === version;
  return create(ClientConfig_GenericXdsConfigSchema, {
    typeUrl,
    name,
    versionInfo: version,
    configStatus: isAccepted ? ConfigStatus.SYNCED : ConfigStatus.STALE,
    clientStatus: isAccepted ? ClientResourceStatus.ACKED : ClientResourceStatus.REQUESTED,
    ...(content === undefined ? {} : { xdsConfig: content }),
    ...lastUpdated,
  });
}

/** A name that stands for nothing: the client was told so, or is about to be. */
function absenceOf(
  { typeUrl, subscription, acknowledgements }: TypeStatus,
  name: string,
): ClientConfig_GenericXdsConfig {
  const isTold = subscription.due.get(name)?.answer !== true;
  const { answered, rejected } = acknowledgements;
  const isAnswered =
    answered.names.has(name) && answered.due.get(name)?.answer !== true && rejected.get(name)?.version !== '';
  return create(ClientConfig_GenericXdsConfigSchema, {
    typeUrl,
    name,
    configStatus: isTold ? (isAnswered ? ConfigStatus.SYNCED : ConfigStatus.STALE) : ConfigStatus.NOT_SENT,
    clientStatus: isTold ? ClientResourceStatus.DOES_NOT_EXIST : ClientResourceStatus.REQUESTED,
    ...timeOf(acknowledgements),
  });
}

function failureOf(resource: Resource, rejection: Rejection, withContents: boolean): UpdateFailureState {
  const content = withContents ? contentOf(resource) : undefined;
  return create(UpdateFailureStateSchema, {
    versionInfo: rejection.version,
    details: rejection.reason ?? '',
    lastUpdateAttempt: timestampFromMs(rejection.at),
    ...(content === undefined ? {} : { failedConfiguration: content }),
  });
}

/** Nothing for a resource that only the client has: it was claimed, and never sent by us. */
function contentOf(resource: Resource): Any | undefined {
  const bytes = anyOf(resource);
  return bytes.length === 0 ? undefined : fromBinary(AnySchema, bytes);
}

/** When anything of this type was sent to this client, or answered by it: not kept by resource. */
function timeOf({ updatedAt }: Acknowledgements): { lastUpdated?: Timestamp } {
  return updatedAt === 0 ? {} : { lastUpdated: timestampFromMs(updatedAt) };
}
