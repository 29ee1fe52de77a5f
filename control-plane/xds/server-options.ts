import type { ServerOptions } from '@grpc/grpc-js';
import { DEFAULT_LIMITS } from './limits.ts';
import type { Limits } from './limits.ts';

/** How a gRPC server should be set up for many long streams, which live about so long. */
export function xdsServerOptions({ streamAgeMs }: Pick<Limits, 'streamAgeMs'>): ServerOptions {
  return {
    // Channelz keeps a record per connection and call, and nobody can read it here.
    'grpc.enable_channelz': 0,
    // A peer that vanished is noticed within this time, though nothing changes and nothing is sent.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    // A stream that ends comes back on the same connection: only a connection that ends reaches another replica.
    // It is announced (GOAWAY) before the streams on it reach their maximum age, and cut where a client that
    // does not read keeps one from ending. Both vary by a tenth, so that clients do not come back all at once.
    'grpc.max_connection_age_ms': Math.ceil((streamAgeMs * 2) / 3),
    'grpc.max_connection_age_grace_ms': Math.ceil(streamAgeMs / 2),
    // A connection without a stream is a client that went away, or one that never sent anything.
    'grpc.max_connection_idle_ms': 30_000,
    // Beyond this much of headers, settings and pings (in MB) a connection is told to calm down; gRPC has no limit.
    'grpc-node.max_session_memory': 32,
    // One client needs a stream per type at most, and a proxy in front of us may bundle a few.
    'grpc.max_concurrent_streams': 100,
    // A client that comes back names all that it holds: 4 MiB is some fifty thousand resources.
    'grpc.max_receive_message_length': 4 << 20,
  };
}

export const XDS_SERVER_OPTIONS: ServerOptions = xdsServerOptions(DEFAULT_LIMITS);
