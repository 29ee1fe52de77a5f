import { Histogram, type Registry } from 'prom-client';
import { exposeCounter, exposeGauge } from '../process/metrics.ts';
import type { Outcome } from './reviewer.ts';

const OUTCOMES: readonly Outcome[] = ['injected', 'skipped', 'rejected', 'error'];

/** A review takes microseconds; what takes longer waited for a namespace or for a body. */
const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];

/** Returns what is to be told of each review. */
export function exposeReviews(registry: Registry): (outcome: Outcome, seconds: number) => void {
  const counts: Record<Outcome, number> = { injected: 0, skipped: 0, rejected: 0, error: 0 };
  exposeCounter(registry, {
    name: 'cortexflow_injector_reviews_total',
    help: 'Reviews by how they ended: injected, skipped (allowed as it was), rejected for a mistake in the pod, error.',
    labelNames: ['outcome'],
    collect: (add) => OUTCOMES.forEach((outcome) => add(counts[outcome], { outcome })),
  });
  const duration = new Histogram({
    name: 'cortexflow_injector_review_seconds',
    help: 'Time from the head of a request to its answer.',
    buckets: BUCKETS,
    registers: [registry],
  });
  return (outcome, seconds) => {
    counts[outcome] += 1;
    duration.observe(seconds);
  };
}

export interface UpkeepParts {
  readonly namespaces: { stalenessMs(): number };
  readonly certificate: { readonly expirySeconds: number | undefined };
  /** `repairs`: how often the caBundle had to be set again; absent where it is somebody else's. */
  readonly certificates: { readonly repairs?: number };
}

/** What has to be kept up for reviews to arrive and to be right. */
export function exposeUpkeep(
  registry: Registry,
  { namespaces, certificate, certificates }: UpkeepParts,
): void {
  exposeGauge(registry, {
    name: 'cortexflow_injector_certificate_expiry_timestamp_seconds',
    help: 'Until when the certificate that is served is valid, in seconds since 1970.',
    collect: (add) => {
      if (certificate.expirySeconds !== undefined) add(certificate.expirySeconds);
    },
  });
  exposeCounter(registry, {
    name: 'cortexflow_injector_ca_bundle_repairs_total',
    help: "How often somebody else's change of the caBundle was undone.",
    collect: (add) => {
      if (certificates.repairs !== undefined) add(certificates.repairs);
    },
  });
  exposeGauge(registry, {
    name: 'cortexflow_injector_namespaces_staleness_seconds',
    help: 'How long ago the API server was last heard of about Namespaces.',
    collect: (add) => add(namespaces.stalenessMs() / 1000),
  });
}
