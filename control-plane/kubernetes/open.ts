import type { Registry } from 'prom-client';
import { connectApiServer } from '../../api-server/connection.ts';
import type { Logger } from '../../process/log.ts';
import { exposeCounter, exposeGauge } from '../../process/metrics.ts';
import type { Listener, Source } from '../source.ts';
import { type FollowedState, KubernetesSource } from './source.ts';
import { obstaclesOf, outageClause, staleSentence } from './staleness.ts';

/** Rejects with a StartupError where nobody says which API server, or with which credentials. */
export async function openKubernetes(
  serviceAccountDirectory: string,
  listener: Listener,
  logger: Logger,
): Promise<Source> {
  const api = await connectApiServer({ serviceAccountDirectory, userAgent: 'cortexflow-control-plane' });
  const source = new KubernetesSource({ api, listener, logger });
  return {
    name: api.address,
    obstacles: () => obstaclesOf(source.states),
    remark: () => staleSentence(source.states),
    outage: () => outageClause(source.states),
    expose: (registry) => exposeKubernetes(registry, source),
    close: async () => {
      source.close();
      api.close();
    },
  };
}

function exposeKubernetes(registry: Registry, source: KubernetesSource): void {
  const metric = (name: string, help: string, valueOf: (state: FollowedState) => number) => ({
    name,
    help,
    labelNames: ['kind'],
    collect: (add: (value: number, labels: { kind: string }) => void) => {
      for (const state of source.states) add(valueOf(state), { kind: state.kind });
    },
  });
  const expose = [
    metric('cortexflow_kubernetes_objects', 'Objects that are known.', ({ objects }) => objects),
    metric(
      'cortexflow_kubernetes_staleness_seconds',
      'Time since the API server was last heard of this kind; up to 90 s where nothing happens.',
      ({ stalenessMs }) => stalenessMs / 1000,
    ),
  ];
  for (const gauge of expose) exposeGauge(registry, gauge);
  const counters = [
    metric(
      'cortexflow_kubernetes_relists_total',
      'Lists that were read again because a watch could not be resumed.',
      ({ relists }) => relists,
    ),
    metric(
      'cortexflow_kubernetes_errors_total',
      'Lists and watches that failed, fell silent or were refused.',
      ({ errors }) => errors,
    ),
  ];
  for (const counter of counters) exposeCounter(registry, counter);
}
