import { timestamp } from '../services/describe.ts';
import type { ClientStatus, Connection } from './client.ts';
import type { PastRejection } from './rejection-log.ts';
import type { Rejection } from './rejection.ts';

/** Where the client of the control plane stands, for people: times are RFC 3339. */
export interface ControlPlaneView {
  readonly connection: {
    readonly state: Connection['state'];
    readonly address?: string;
    readonly since?: string;
    readonly retryAt?: string;
  };
  readonly lastResponse: string | undefined;
  readonly lastError: { readonly message: string; readonly at: string } | undefined;
}

export interface RejectionView extends Rejection {
  readonly at: string;
}

export function describeControlPlane({
  connection,
  lastResponseMs,
  lastError,
}: ClientStatus): ControlPlaneView {
  return {
    connection: describeConnection(connection),
    lastResponse: timestamp(lastResponseMs),
    lastError: lastError && { message: lastError.message, at: timestamp(lastError.atMs) },
  };
}

export function describeRejection({ name, reason, atMs }: PastRejection): RejectionView {
  return { name, reason, at: timestamp(atMs) };
}

function describeConnection(connection: Connection): ControlPlaneView['connection'] {
  const { state } = connection;
  if (state === 'stopped') return { state };
  if (state === 'waiting') return { state, retryAt: timestamp(connection.retryAtMs) };
  const { address } = connection;
  return state === 'connected'
    ? { state, address, since: timestamp(connection.sinceMs) }
    : { state, address };
}
