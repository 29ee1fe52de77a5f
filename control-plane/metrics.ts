import type { Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from '../process/metrics.ts';
import type { Mesh } from './mesh/mesh.ts';
import type { Counters, TypeCounters } from './xds/counters.ts';
import type { SnapshotCell } from './xds/snapshot.ts';

export interface Measured {
  readonly counters: Counters;
  readonly mesh: Mesh;
  readonly snapshots: SnapshotCell;
}

/** Shows the control plane's plain numbers to Prometheus. */
export function exposeControlPlane(registry: Registry, measured: Measured): void {
  const { counters, mesh, snapshots } = measured;
  exposeMesh(registry, mesh, snapshots);
  exposeStreams(registry, counters);
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
    help: 'Streams turned away: too many came at once, or the caller could not be identified.',
    labelNames: ['reason'],
    collect: (add) => {
      add(counters.admissionsRefused, { reason: 'admission' });
      add(counters.identitiesRefused, { reason: 'identity' });
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_xds_requests_refused_total',
    help: 'Requests that were malformed or went over a limit; their stream was ended.',
    collect: (add) => add(counters.requestsRefused),
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
