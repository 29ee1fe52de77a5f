import type { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from '../process/metrics.ts';
import type { Mesh } from './mesh/mesh.ts';
import type { Counters, TypeCounters } from './xds/counters.ts';
import type { XdsEngine } from './xds/engine.ts';
import type { SnapshotCell } from './xds/snapshot.ts';

export interface Measured {
  readonly engine: Pick<XdsEngine, 'counters' | 'held' | 'sendRoom'>;
  readonly mesh: Mesh;
  readonly snapshots: SnapshotCell;
}

/** Shows the control plane's plain numbers to Prometheus. */
export function exposeControlPlane(registry: Registry, measured: Measured): void {
  const { engine, mesh, snapshots } = measured;
  const { counters } = engine;
  exposeMesh(registry, mesh, snapshots);
  exposeStreams(registry, counters);
  exposeBytes(registry, engine);
  exposeTypes(registry, counters);
}

function exposeMesh(registry: Registry, mesh: Mesh, snapshots: SnapshotCell): void {
  exposeGauge(registry, {
    name: 'cortexflow_rejected_objects',
    help: 'Objects whose newest state was rejected; the last good one is served, if there was one.',
    collect: (add) => add(mesh.state.rejections.size),
  });
  exposeGauge(registry, {
    name: 'cortexflow_xds_resources',
    help: 'Resources in the current snapshot.',
    labelNames: ['type'],
    collect: (add) => {
      for (const [type, { size }] of snapshots.current.types) add(size, { type });
    },
  });
}

function exposeStreams(registry: Registry, counters: Counters): void {
  exposeGauge(registry, {
    name: 'cortexflow_xds_streams',
    help: 'Streams that are open.',
    collect: (add) => add(counters.streams),
  });
  exposeGauge(registry, {
    name: 'cortexflow_xds_streams_behind',
    help: 'Streams whose client does not read as fast as things change.',
    collect: (add) => add(counters.streamsBehind),
  });
  exposeCounter(registry, {
    name: 'cortexflow_xds_streams_opened_total',
    help: 'Streams opened.',
    collect: (add) => add(counters.streamsOpened),
  });
  exposeCounter(registry, {
    name: 'cortexflow_xds_streams_refused_total',
    help: 'Streams turned away: too many came at once or are open, or the caller could not be identified.',
    labelNames: ['reason'],
    collect: (add) => {
      add(counters.admissionsRefused, { reason: 'admission' });
      add(counters.callerAdmissionsRefused, { reason: 'caller_admission' });
      add(counters.streamsRefused, { reason: 'streams' });
      add(counters.callerStreamsRefused, { reason: 'caller_streams' });
      add(counters.identitiesRefused, { reason: 'identity' });
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_xds_requests_refused_total',
    help: 'Requests that were malformed or went over a limit; their stream was ended.',
    collect: (add) => add(counters.requestsRefused),
  });
  exposeCounter(registry, {
    name: 'cortexflow_xds_bytes_refused_total',
    help: 'Requests refused because the caller, or all callers together, would make the process hold too much.',
    labelNames: ['limit'],
    collect: (add) => {
      add(counters.callerBytesRefused, { limit: 'caller' });
      add(counters.processBytesRefused, { limit: 'process' });
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_xds_streams_stalled_total',
    help: 'Streams ended because their client took nothing while others of the same caller waited.',
    collect: (add) => add(counters.stalledStreams),
  });
}

function exposeBytes(registry: Registry, { held, sendRoom }: Measured['engine']): void {
  exposeGauge(registry, {
    name: 'cortexflow_xds_held_bytes',
    help: 'Bytes that streams make the process hold: names, claims, nodes, requests being read.',
    collect: (add) => add(held.total),
  });
  exposeGauge(registry, {
    name: 'cortexflow_xds_unsent_bytes',
    help: 'Bytes of responses that connections have not taken yet.',
    collect: (add) => add(sendRoom.unsent),
  });
}

function exposeTypes(registry: Registry, { types }: Counters): void {
  const expose = (name: string, help: string, field: keyof TypeCounters): void =>
    exposeCounter(registry, {
      name,
      help,
      labelNames: ['type'],
      collect: (add) => {
        for (const [type, counts] of types) add(counts[field], { type });
      },
    });
  expose('cortexflow_xds_pushes_total', 'Responses sent.', 'pushes');
  expose('cortexflow_xds_pushed_bytes_total', 'Bytes of responses sent.', 'pushedBytes');
  expose('cortexflow_xds_acks_total', 'Responses that clients acknowledged.', 'acks');
  expose('cortexflow_xds_nacks_total', 'Responses that clients rejected, in part at least.', 'nacks');
}
